// Shop is a small net/http application that Tidemark watches.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/examples/internal/serve"
)

func main() {
	// 1: a client.
	c, err := client.New(client.Config{URL: os.Getenv("TIDEMARK_URL"), Key: os.Getenv("TIDEMARK_KEY"), Source: "shop"})
	if err == nil {
		// 2: every request is measured, and what waits is sent before the end.
		err = serve.Until(c.Middleware(client.MiddlewareConfig{UserHeader: "X-User"})(routes(c)), c.Close)
	}
	if err != nil {
		log.Fatal(err)
	}
}

var errDeclined = errors.New("the card was declined")

func routes(c *client.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		defer c.Time(r.Context(), "load product")() // 3: an operation
		_ = json.NewEncoder(w).Encode(map[string]string{"id": r.PathValue("id"), "name": "lamp"})
	})
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		amount := r.FormValue("amount")
		err := c.Timed(r.Context(), "charge card", func(context.Context) error { return charge(amount) }) // 4: one that may fail
		if err != nil {
			c.TrackError(r.Context(), err, map[string]any{"amount": amount}) // 5: a failure
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		c.Track(r.Context(), "checkout_completed", map[string]any{"amount": amount}) // 6: an event
		fmt.Fprintln(w, "thank you")
	})
	return mux
}

func charge(amount string) error {
	if amount == "" {
		return errDeclined
	}
	return nil
}
