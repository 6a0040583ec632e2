// Echo shows the client around an echo server, whose routes a middleware of its own names.
package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tidemark-obs/tidemark/client"
	"github.com/tidemark-obs/tidemark/examples/internal/serve"
)

func main() { serve.Run("echo", client.MiddlewareConfig{UserHeader: "X-User"}, routes) }

func routes(c *client.Client) http.Handler {
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(ec echo.Context) error {
			client.SetRoute(ec.Request().Context(), ec.Path())
			return next(ec)
		}
	})
	e.GET("/products/:id", func(ec echo.Context) error {
		ctx := ec.Request().Context()
		defer c.Time(ctx, "load product")()
		c.Track(ctx, "product_viewed", map[string]any{"id": ec.Param("id")})
		return ec.String(http.StatusOK, "lamp")
	})
	e.POST("/checkout", func(ec echo.Context) error {
		c.TrackError(ec.Request().Context(), errors.New("the card was declined"), nil)
		return ec.String(http.StatusBadGateway, "no")
	})
	e.GET("/prices", func(ec echo.Context) error { // a stream
		for n := range 3 {
			fmt.Fprintln(ec.Response(), "price", n)
			ec.Response().Flush()
		}
		return nil
	})
	e.GET("/broken", func(echo.Context) error { panic("broken") })
	return e
}
