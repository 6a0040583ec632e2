// Chi shows the client around a chi router, whose routes a middleware of its own names.
package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/examples/internal/serve"
)

func main() { serve.Run("chi", client.MiddlewareConfig{UserHeader: "X-User"}, routes) }

func routes(c *client.Client) http.Handler {
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Afterwards the route is known, also where a handler panics.
			defer func() { client.SetRoute(r.Context(), chi.RouteContext(r.Context()).RoutePattern()) }()
			next.ServeHTTP(w, r)
		})
	})
	r.Get("/products/{id}", func(w http.ResponseWriter, r *http.Request) {
		defer c.Time(r.Context(), "load product")()
		c.Track(r.Context(), "product_viewed", map[string]any{"id": chi.URLParam(r, "id")})
		fmt.Fprintln(w, "lamp")
	})
	r.Post("/checkout", func(w http.ResponseWriter, r *http.Request) {
		c.TrackError(r.Context(), errors.New("the card was declined"), nil)
		http.Error(w, "no", http.StatusBadGateway)
	})
	r.Get("/prices", func(w http.ResponseWriter, _ *http.Request) { // a stream
		for n := range 3 {
			fmt.Fprintln(w, "price", n)
			_ = http.NewResponseController(w).Flush()
		}
	})
	r.Get("/broken", func(http.ResponseWriter, *http.Request) { panic("broken") })
	return r
}
