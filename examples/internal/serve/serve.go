// Package serve is what the examples share: a server, and for those of routers a client around it.
package serve

import (
	"context"
	"errors"
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
	if err == nil {
		err = Until(c.Middleware(m)(routes(c)), c.Close)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// Until serves h until the program is interrupted, then closes what is to be closed behind the last
// request, within five seconds. It listens where LISTEN says and prints where that is.
func Until(h http.Handler, closes ...func(context.Context) error) error {
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
	var failed error
	select {
	case failed = <-ended:
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(failed, s.Shutdown(last))
	for _, end := range closes {
		err = errors.Join(err, end(last))
	}
	return err
}
