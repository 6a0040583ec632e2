package access_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var errDown = errors.New("database is down")

// database keeps keys in memory, counts what is asked of it and can be away.
type database struct {
	mu      sync.Mutex
	keys    []store.Key
	down    bool
	reads   int
	touched []map[string]time.Time
}

func (d *database) with(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return errDown
	}
	f()
	return nil
}

func (d *database) InsertKey(_ context.Context, k store.Key) error {
	return d.with(func() { d.keys = append(d.keys, k) })
}

func (d *database) Keys(context.Context) (keys []store.Key, err error) {
	err = d.with(func() { d.reads++; keys = slices.Clone(d.keys) })
	return keys, err
}

func (d *database) RevokeKey(_ context.Context, id string, at time.Time) error {
	return d.with(func() {
		for i := range d.keys {
			if d.keys[i].ID == id {
				d.keys[i].RevokedAt = at
			}
		}
	})
}

func (d *database) TouchKeys(_ context.Context, used map[string]time.Time) error {
	return d.with(func() { d.touched = append(d.touched, maps.Clone(used)) })
}

func (d *database) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *database) writes() []map[string]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.touched)
}

func (d *database) replace(keys []store.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = keys
}

// loaded returns an Access over db that knows its keys.
func loaded(t testing.TB, db *database, change func(*access.Config)) *access.Access {
	t.Helper()
	c := access.Config{Store: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	if change != nil {
		change(&c)
	}
	a, err := access.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func create(t testing.TB, a *access.Access, name string, scopes ...string) (string, store.Key) {
	t.Helper()
	text, key, err := a.Create(t.Context(), name, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return text, key
}

// request has headers given as name, value, name, value.
func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/analytics/stats", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func bearer(key string) *http.Request { return request("Authorization", "Bearer "+key) }

func wantKind(t *testing.T, what string, err error, want errs.Kind) *errs.Error {
	t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Fatalf("%s: %v, want kind %d", what, err, want)
	}
	return e
}
