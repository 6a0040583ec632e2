package store

import "context"

// Lease makes this process the one that stores a stream, until release is called or its connection
// to the database is lost. It is not had (ok is false) while another process holds it.
//
// It keeps two processes from doing the same work, and no more: a holder whose connection broke
// does not know that another may have taken over. Exactness comes from the fence in Commit, where
// such a holder meets Conflict; it then releases and asks again.
func (s *Store) Lease(ctx context.Context, stream string) (release func(), ok bool, err error) {
	err = s.use(ctx, func(p pools) error {
		release, ok, err = s.d.lease(ctx, p.admin, stream)
		return err
	})
	return release, ok, err
}
