// Package serve is what the examples share: a server, and for those of routers a client around it.
package serve

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/tidemark-obs/tidemark/client"
)

// Run serves what routes returns, measured as m says, until the program is interrupted.
func Run(source string, m client.MiddlewareConfig, routes func(*client.Client) http.Handler) {
	c, err := client.New(client.Config{URL: os.Getenv("TIDEMARK_URL"), Key: os.Getenv("TIDEMARK_KEY"), Source: source})
	if err != nil {
		log.Fatal(err)
	}
	if err := Until(c.Middleware(m)(routes(c))); err != nil {
		log.Print(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		log.Print(err)
	}
}

// Until serves h until the program is interrupted. It listens where LISTEN says and prints where that
// is.
func Until(h http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	address := os.Getenv("LISTEN")
	if address == "" {
		address = "127.0.0.1:9000"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Shutdown(last)
}
