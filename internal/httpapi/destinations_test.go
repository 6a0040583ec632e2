package httpapi

import (
	"context"
	"time"

	"github.com/tidemark-obs/tidemark/internal/destination"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// noDestinations is a service without any; what there are is tested in internal/app, on real ones.
type noDestinations struct{}

func (noDestinations) none() error {
	return errs.New(errs.NotFound, "there is no destination of this name")
}

func (noDestinations) Enabled() []string { return nil }
func (noDestinations) List(context.Context) ([]destination.View, error) {
	return []destination.View{}, nil
}
func (n noDestinations) Get(context.Context, string) (destination.View, error) {
	return destination.View{}, n.none()
}
func (n noDestinations) Put(context.Context, *destination.Request) (destination.View, bool, error) {
	return destination.View{}, false, n.none()
}
func (n noDestinations) Delete(context.Context, string) error { return n.none() }
func (n noDestinations) SetEnabled(context.Context, string, bool) (destination.View, error) {
	return destination.View{}, n.none()
}
func (n noDestinations) Test(context.Context, string) (destination.TestResult, error) {
	return destination.TestResult{}, n.none()
}
func (n noDestinations) Replay(context.Context, string, string, time.Time, time.Time) error {
	return n.none()
}
func (n noDestinations) Undelivered(context.Context, string, string, int) ([]store.Undelivered, error) {
	return nil, n.none()
}
func (n noDestinations) DropUndelivered(context.Context, string) error { return n.none() }
