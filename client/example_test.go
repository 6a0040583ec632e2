package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/tidemark-obs/tidemark/client"
)

// One line an event. Disabled, so that the example needs no service; leave Mode out to send.
func Example() {
	c, err := client.New(client.Config{URL: "http://127.0.0.1:8080", Source: "shop", Mode: client.Disabled})
	if err != nil {
		log.Fatal(err)
	}
	ctx := client.WithUser(context.Background(), "u1")
	c.Track(ctx, "checkout_completed", map[string]any{"amount": 129.95, "currency": "EUR"})

	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Close(closing); err != nil { // sends what waits
		log.Print(err)
	}
	// Output:
}

// An operation in one line, and what a function's error or panic does to it.
func ExampleClient_Timed() {
	c, err := client.New(client.Config{Mode: client.Console, Output: io.Discard})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	load := func() {
		defer c.Time(ctx, "load basket")()
	}
	load()
	err = c.Timed(ctx, "charge card", func(context.Context) error { return errors.New("declined") })
	fmt.Println(err)
	// Output: declined
}

// Every request of a server becomes a metric, a span and an event.
func ExampleClient_Middleware() {
	c, err := client.New(client.Config{URL: "http://127.0.0.1:8080", Source: "shop", Mode: client.Disabled})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		c.Track(r.Context(), "order_viewed", map[string]any{"id": r.PathValue("id")})
	})
	server := &http.Server{
		Handler: c.Middleware(client.MiddlewareConfig{
			Exclude:     []string{"/healthy", "/static/"},
			SampleRates: map[string]float64{"GET /orders/{id}": 0.1},
		})(mux),
		ReadHeaderTimeout: 10 * time.Second,
	}
	_ = server // server.ListenAndServe()
	// Output:
}

// With a spool, what was tracked survives the death of the process.
func ExampleConfig_spool() {
	dir, err := os.MkdirTemp("", "spool-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	away := client.Config{URL: "http://127.0.0.1:1", SpoolDir: dir} // where nobody listens
	c, err := client.New(away)
	if err != nil {
		log.Fatal(err)
	}
	c.Track(context.Background(), "signup", nil)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.Close(gone) // the event stays in the spool

	if c, err = client.New(away); err != nil {
		log.Fatal(err)
	}
	fmt.Println("found again:", c.Stats().Recovered)
	_ = c.Close(gone)
	// Output: found again: 1
}
