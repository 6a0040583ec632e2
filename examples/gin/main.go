// Gin shows the client around a gin engine, whose routes a middleware of its own names.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/examples/internal/serve"
)

func main() { serve.Run("gin", client.MiddlewareConfig{UserHeader: "X-User"}, routes) }

func routes(c *client.Client) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(func(g *gin.Context) { client.SetRoute(g.Request.Context(), g.FullPath()) })
	r.GET("/products/:id", func(g *gin.Context) {
		ctx := g.Request.Context()
		defer c.Time(ctx, "load product")()
		c.Track(ctx, "product_viewed", map[string]any{"id": g.Param("id")})
		g.String(http.StatusOK, "lamp")
	})
	r.POST("/checkout", func(g *gin.Context) {
		c.TrackError(g.Request.Context(), errors.New("the card was declined"), nil)
		g.String(http.StatusBadGateway, "no")
	})
	r.GET("/prices", func(g *gin.Context) { // a stream
		n := 0
		g.Stream(func(w io.Writer) bool {
			fmt.Fprintln(w, "price", n)
			n++
			return n < 3
		})
	})
	r.GET("/broken", func(*gin.Context) { panic("broken") })
	return r
}
