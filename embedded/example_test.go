package embedded_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/embedded"
)

// A program serves its own pages and the whole service under one mux.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "analytics")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	service, err := embedded.Start(ctx, embedded.Config{DataDir: dir, Trusted: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the shop") })
	mux.Handle("/api/analytics/", service.Handler()) // behind what the program lets in only
	server := httptest.NewServer(mux)

	res, err := http.Post(server.URL+"/api/analytics/events", "application/json",
		strings.NewReader(`{"event_name": "order_placed", "properties": {"amount": 12.5}}`))
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status)

	server.Close() // first, so that no request is under way
	if err := service.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: 201 Created
}

// A client in the same program reaches the service without a port and without a key.
func ExampleService_Transport() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "analytics")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	service, err := embedded.Start(ctx, embedded.Config{DataDir: dir, Trusted: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	inside := &http.Client{Transport: service.Transport()}
	c, err := client.New(client.Config{URL: "http://tidemark", HTTPClient: inside, Source: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	c.Track(ctx, "order_placed", map[string]any{"amount": 12.5})

	if err := c.Close(ctx); err != nil { // sends what waits, so it comes first
		log.Fatal(err)
	}
	fmt.Println("sent:", c.Stats().Sent)
	if err := service.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: sent: 1
}
