package client

import "context"

// identity is who a context speaks of.
type identity struct {
	user, anonymous, session string
	request                  *exchange // the request that is under way; nil outside Middleware
}

type identityKey struct{}

func identityOf(ctx context.Context) *identity {
	if ctx == nil {
		return nil
	}
	id, _ := ctx.Value(identityKey{}).(*identity)
	return id
}

// WithUser returns a context whose events bear the user's id. Inside Middleware the event of the
// request bears it as well, though the request began before anybody knew.
func WithUser(ctx context.Context, id string) context.Context {
	return with(ctx, func(i *identity) { i.user = id })
}

// WithAnonymous is WithUser for somebody whose name is not known.
func WithAnonymous(ctx context.Context, id string) context.Context {
	return with(ctx, func(i *identity) { i.anonymous = id })
}

// WithSession is WithUser for the session.
func WithSession(ctx context.Context, id string) context.Context {
	return with(ctx, func(i *identity) { i.session = id })
}

func with(ctx context.Context, set func(*identity)) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	var next identity
	if known := identityOf(ctx); known != nil {
		next = *known
	}
	set(&next)
	if next.request != nil {
		next.request.who.Store(&next)
	}
	return context.WithValue(ctx, identityKey{}, &next)
}
