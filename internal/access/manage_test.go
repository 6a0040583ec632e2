package access_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
)

func TestAKeyIsKeptOnlyAsItsHash(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	text, key := create(t, a, "one", "read", "ingest")
	h := sha256.Sum256([]byte(text))
	if len(text) != 46 || !strings.HasPrefix(text, "tm_") || !bytes.Equal(key.Hash, h[:]) || key.Hint != text[:8] {
		t.Errorf("%s: %+v", text, key)
	}
	if !slices.Equal(key.Scopes, []string{"ingest", "read"}) || key.CreatedAt.IsZero() || !key.LastUsedAt.IsZero() {
		t.Errorf("%+v", key)
	}
	if other, _ := create(t, a, "two", "read"); other == text {
		t.Error("two keys are the same")
	}
	if len(db.keys) != 2 || !bytes.Equal(db.keys[0].Hash, h[:]) {
		t.Errorf("kept: %+v", db.keys)
	}
}

func TestCreateRefuses(t *testing.T) {
	a := loaded(t, &database{}, nil)
	create(t, a, "taken", "read")
	for _, c := range []struct {
		name   string
		scopes []string
		kind   errs.Kind
	}{
		{"", []string{"read"}, errs.Invalid},
		{" x", []string{"read"}, errs.Invalid},
		{"a\nb", []string{"read"}, errs.Invalid},
		{"a\xffb", []string{"read"}, errs.Invalid},
		{strings.Repeat("é", 101), []string{"read"}, errs.Invalid},
		{"0197f3a0-0000-7000-8000-000000000000", []string{"read"}, errs.Invalid},
		{"x", nil, errs.Invalid},
		{"x", []string{"write"}, errs.Invalid},
		{"x", []string{"read", ""}, errs.Invalid},
		{"taken", []string{"read"}, errs.Conflict},
	} {
		_, _, err := a.Create(t.Context(), c.name, c.scopes)
		wantKind(t, c.name, err, c.kind)
	}
	create(t, a, strings.Repeat("é", 100), "read")
}

func TestRevoke(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	one, key := create(t, a, "one", "read")
	two, _ := create(t, a, "two", "read")
	wantKind(t, "unknown", a.Revoke(t.Context(), "three"), errs.NotFound)
	for _, name := range []string{key.ID, key.ID} { // a second time is no error
		if err := a.Revoke(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "a revoked key by name", a.Revoke(t.Context(), "one"), errs.NotFound)
	_, err := a.Authorize(bearer(one), access.Read)
	wantKind(t, "the revoked key", err, errs.Unauthorized)
	if _, err := a.Authorize(bearer(two), access.Read); err != nil {
		t.Error(err)
	}
	again, _ := create(t, a, "one", "read") // the name is free again
	if err := a.Revoke(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authorize(bearer(again), access.Read)
	wantKind(t, "the second of that name", err, errs.Unauthorized)

	db.keys[1].Name, db.keys[2].Name, db.keys[2].RevokedAt = "same", "same", time.Time{}
	wantKind(t, "two of a name", a.Revoke(t.Context(), "same"), errs.Conflict)
	keys, err := a.List(t.Context())
	if err != nil || len(keys) != 3 || keys[0].RevokedAt.IsZero() {
		t.Errorf("%+v, %v", keys, err)
	}
}

func TestNothingIsManagedWhileTheDatabaseIsDown(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	text, _ := create(t, a, "one", "read")
	db.setDown(true)
	_, _, err := a.Create(t.Context(), "two", []string{"read"})
	wantKind(t, "create", err, errs.Unavailable)
	wantKind(t, "revoke", a.Revoke(t.Context(), "one"), errs.Unavailable)
	_, err = a.List(t.Context())
	wantKind(t, "list", err, errs.Unavailable)
	if _, err := a.Authorize(bearer(text), access.Read); err != nil {
		t.Errorf("a key that was not revoked: %v", err)
	}
}

// running starts Run and returns a function that ends it and waits.
func running(t *testing.T, a *access.Access) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

func TestReplicasSeeChangesWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		var log bytes.Buffer
		one := loaded(t, db, nil)
		two := loaded(t, db, func(c *access.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		stop := running(t, two)
		text, _ := create(t, one, "key", "read")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if _, err := two.Authorize(bearer(text), access.Read); err != nil || !two.Any() {
			t.Errorf("a new key after three seconds: %v", err)
		}
		db.setDown(true)
		time.Sleep(time.Minute)
		db.setDown(false)
		if _, err := two.Authorize(bearer(text), access.Read); err != nil {
			t.Errorf("while the database was down: %v", err)
		}
		if err := one.Revoke(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		_, err := two.Authorize(bearer(text), access.Read)
		wantKind(t, "a revoked key after three seconds", err, errs.Unauthorized)
		stop()
		if n := strings.Count(log.String(), "access keys cannot be read;"); n != 1 || strings.Count(log.String(), "read again") != 1 {
			t.Errorf("logged %q", log.String())
		}
		if !strings.Contains(log.String(), "refused\" count=1") {
			t.Errorf("a refused request is not in the log: %q", log.String())
		}
	})
}

func TestLastUseIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		a := loaded(t, db, nil)
		text, key := create(t, a, "key", "read")
		create(t, a, "never used", "read")
		stop := running(t, a)
		use := func() time.Time {
			for range 10 {
				if _, err := a.Authorize(bearer(text), access.Read); err != nil {
					t.Fatal(err)
				}
			}
			return time.Now().UTC().Truncate(time.Second)
		}
		at := use()
		if keys, err := a.List(t.Context()); err != nil || !keys[0].LastUsedAt.Equal(at) || !keys[1].LastUsedAt.IsZero() {
			t.Errorf("list before it is written: %+v, %v", keys, err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w := db.writes(); len(w) != 1 || len(w[0]) != 1 || !w[0][key.ID].Equal(at) {
			t.Fatalf("written: %v", w)
		}
		at = use()
		db.setDown(true)
		time.Sleep(time.Minute)
		db.setDown(false)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if w := db.writes(); len(w) != 2 || !w[1][key.ID].Equal(at) {
			t.Fatalf("written after the database came back: %v", w)
		}
		at = use()
		stop()
		if w := db.writes(); len(w) != 3 || !w[2][key.ID].Equal(at) {
			t.Errorf("written at the end: %v", w)
		}
	})
}

func TestConcurrentCreatesRevokesAndRequests(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	keep, _ := create(t, a, "keep", "read")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				name := strings.Repeat("k", i+1)
				text, key, err := a.Create(t.Context(), name, []string{"ingest"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := a.Authorize(bearer(text), access.Ingest); err != nil {
					t.Error("a new key:", err)
				}
				if err := a.Revoke(t.Context(), key.ID); err != nil {
					t.Error(err)
				}
				if _, err := a.Authorize(bearer(text), access.Ingest); !errs.Is(err, errs.Unauthorized) {
					t.Error("a revoked key:", err)
				}
				if _, err := a.Authorize(bearer(keep), access.Read); err != nil {
					t.Error("another key:", err)
				}
			}
		})
	}
	wg.Wait()
	if keys, err := a.List(t.Context()); err != nil || len(keys) != 161 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}
