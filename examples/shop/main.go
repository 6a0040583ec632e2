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
	"time"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/examples/internal/serve"
)

func main() {
	// 1: a client.
	c, err := client.New(client.Config{URL: os.Getenv("TIDEMARK_URL"), Key: os.Getenv("TIDEMARK_KEY"), Source: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	// 2: every request is measured.
	handler := c.Middleware(client.MiddlewareConfig{UserHeader: "X-User"})(routes(c))
	if err := serve.Until(handler); err != nil {
		log.Print(err)
	}
	// 3: what waits is sent before the end.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		log.Print(err)
	}
}

var errDeclined = errors.New("the card was declined")

func routes(c *client.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		defer c.Time(r.Context(), "load product")() // 4: an operation
		_ = json.NewEncoder(w).Encode(map[string]string{"id": r.PathValue("id"), "name": "lamp"})
	})
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		amount := r.FormValue("amount")
		err := c.Timed(r.Context(), "charge card", func(context.Context) error { return charge(amount) }) // 5: one that may fail
		if err != nil {
			c.TrackError(r.Context(), err, map[string]any{"amount": amount}) // 6: a failure
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		c.Track(r.Context(), "checkout_completed", map[string]any{"amount": amount}) // 7: an event
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
