package access_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestWithoutKeysEverybodyMayDoEverything(t *testing.T) {
	a := loaded(t, &database{}, nil)
	p, err := a.Authorize(request(), access.Admin)
	if err != nil || !p.Anonymous() || !p.Scopes.Has(access.Admin) || a.Any() {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := a.Authorize(bearer("anything"), access.Ingest); err != nil {
		t.Errorf("a key that nobody asked for: %v", err)
	}
}

func TestWithoutKeysNobodyIsLetInWhereOneIsRequired(t *testing.T) {
	a := loaded(t, &database{}, func(c *access.Config) { c.KeyRequired = true })
	_, err := a.Authorize(request(), access.Read)
	wantKind(t, "no key", err, errs.Unauthorized)
	if _, err := a.Authorize(request().WithContext(access.WithLocalAdmin(t.Context())), access.Admin); err != nil {
		t.Errorf("the owner of the service: %v", err)
	}
	text, _ := create(t, a, "first", "read")
	if _, err := a.Authorize(bearer(text), access.Read); err != nil {
		t.Errorf("the first key: %v", err)
	}
}

func TestBeforeTheKeysAreKnownNobodyIsLetIn(t *testing.T) {
	db := &database{down: true}
	a, err := access.New(access.Config{Store: db, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "load", a.Load(t.Context()), errs.Unavailable)
	_, err = a.Authorize(request(), access.Ingest)
	wantKind(t, "authorize", err, errs.Unavailable)
	if a.Known() || a.Any() {
		t.Error("keys are known that were never read")
	}
	if _, err := a.Authorize(request().WithContext(access.WithLocalAdmin(t.Context())), access.Admin); err != nil {
		t.Errorf("the owner of the service: %v", err)
	}
	db.setDown(false)
	if err := a.Load(t.Context()); err != nil || !a.Known() {
		t.Errorf("after the database came: %v", err)
	}
}

func TestScopes(t *testing.T) {
	a := loaded(t, &database{}, nil)
	for _, c := range []struct {
		scopes              []string
		ingest, read, admin bool
	}{
		{[]string{"ingest"}, true, false, false},
		{[]string{"read"}, false, true, false},
		{[]string{"read", "ingest", "read"}, true, true, false},
		{[]string{"admin"}, true, true, true},
		{[]string{"admin", "read"}, true, true, true},
	} {
		text, _ := create(t, a, strings.Join(c.scopes, "+"), c.scopes...)
		for need, want := range map[access.Scope]bool{access.Ingest: c.ingest, access.Read: c.read, access.Admin: c.admin} {
			p, err := a.Authorize(bearer(text), need)
			if want && (err != nil || p.KeyName != strings.Join(c.scopes, "+")) {
				t.Errorf("%v for %v: %+v, %v", c.scopes, need.Names(), p, err)
			}
			if !want {
				wantKind(t, fmt.Sprint(c.scopes, " for ", need.Names()), err, errs.Forbidden)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	a := loaded(t, &database{}, nil)
	key, _ := create(t, a, "one", "read")
	other, _ := create(t, a, "two", "read")
	flipped := key[:20] + string(rune('A'+(key[20]-'A'+1)%26)) + key[21:]
	for _, c := range []struct {
		headers []string
		ok      bool
	}{
		{[]string{"Authorization", "Bearer " + key}, true},
		{[]string{"Authorization", "bearer   " + key + " "}, true},
		{[]string{"X-API-Key", key}, true},
		{[]string{"x-api-key", " " + key}, true},
		{[]string{"Authorization", "Bearer " + key, "X-API-Key", key}, true},
		{[]string{"Authorization", "Basic dXNlcjpwYXNz", "X-API-Key", key}, true},
		{nil, false},
		{[]string{"Authorization", ""}, false},
		{[]string{"Authorization", "Bearer"}, false},
		{[]string{"Authorization", "Bearer "}, false},
		{[]string{"Authorization", key}, false},
		{[]string{"Authorization", "Basic dXNlcjpwYXNz"}, false},
		{[]string{"Authorization", "Bearer " + key, "X-API-Key", other}, false},
		{[]string{"Authorization", "Bearer ", "X-API-Key", key}, false},
		{[]string{"Authorization", "Bearer " + key, "Authorization", "Bearer " + key}, false},
		{[]string{"X-API-Key", key, "X-API-Key", other}, false},
		{[]string{"X-API-Key", ""}, false},
		{[]string{"X-API-Key", key + "A"}, false},
		{[]string{"X-API-Key", key[:len(key)-1]}, false},
		{[]string{"X-API-Key", flipped}, false},
		{[]string{"X-API-Key", "tm_" + strings.Repeat("\x00", 43)}, false},
		{[]string{"X-API-Key", strings.Repeat("tm_", 100_000)}, false},
	} {
		_, err := a.Authorize(request(c.headers...), access.Read)
		if c.ok && err != nil {
			t.Errorf("%.80q: %v", c.headers, err)
		}
		if !c.ok {
			e := wantKind(t, fmt.Sprintf("%.80q", c.headers), err, errs.Unauthorized)
			if strings.Contains(e.Error(), key) {
				t.Errorf("%.80q: the answer repeats the key", c.headers)
			}
		}
	}
}

func TestAFloodOfBadKeysReachesNoDatabase(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	good, _ := create(t, a, "one", "read")
	before := db.reads
	db.setDown(true)
	for i := range 10_000 {
		h := sha256.Sum256(fmt.Append(nil, i))
		_, err := a.Authorize(bearer(fmt.Sprintf("tm_%x", h)[:46]), access.Read)
		wantKind(t, "a bad key", err, errs.Unauthorized)
	}
	if _, err := a.Authorize(bearer(good), access.Read); err != nil {
		t.Errorf("a good key while the database is down: %v", err)
	}
	if db.reads != before {
		t.Errorf("%d reads of the database", db.reads-before)
	}
}

func TestARevokedKeyStillClosesTheService(t *testing.T) {
	db := &database{}
	a := loaded(t, db, nil)
	text, key := create(t, a, "only", "admin")
	if err := a.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	_, err := a.Authorize(bearer(text), access.Ingest)
	wantKind(t, "the revoked key", err, errs.Unauthorized)
	_, err = a.Authorize(request(), access.Ingest)
	wantKind(t, "no key", err, errs.Unauthorized)

	db.replace(nil) // its table is lost
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authorize(request(), access.Ingest)
	wantKind(t, "no key, after the table was lost", err, errs.Unauthorized)
}

func TestStoredKeysThatMakeNoSenseGrantNothing(t *testing.T) {
	text := "tm_" + strings.Repeat("a", 43)
	h := sha256.Sum256([]byte(text))
	db := &database{keys: []store.Key{
		{ID: "1", Name: "short hash", Hash: []byte("x"), Scopes: []string{"admin"}},
		{ID: "2", Name: "scope from the future", Hash: h[:], Scopes: []string{"everything", "read"}},
	}}
	a := loaded(t, db, nil)
	if _, err := a.Authorize(bearer(text), access.Read); err != nil {
		t.Error(err)
	}
	_, err := a.Authorize(bearer(text), access.Ingest)
	wantKind(t, "a scope that is not held", err, errs.Forbidden)
	if _, err := a.List(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzAuthorize(f *testing.F) {
	f.Add("Bearer tm_x", "tm_x", "1.2.3.4, [::1]:5", "10.0.0.1:99")
	f.Add("", "", "", "@")
	db := &database{keys: []store.Key{{ID: "1", Hash: make([]byte, 32), Scopes: []string{"admin"}}}}
	a := loaded(f, db, func(c *access.Config) { c.FailedAuth = access.DefaultFailedAuth() })
	f.Fuzz(func(t *testing.T, authorization, key, forwarded, remote string) {
		r := request("Authorization", authorization, "X-API-Key", key, "X-Forwarded-For", forwarded)
		r.RemoteAddr = remote
		if p, err := a.Authorize(r, access.Ingest); err == nil {
			t.Fatalf("let in: %+v", p)
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	db := &database{}
	a := loaded(b, db, nil)
	key, _ := create(b, a, "one", "ingest")
	for i := range 100 {
		create(b, a, fmt.Sprint("other", i), "read")
	}
	good := bearer(key)
	bad := bearer("tm_" + strings.Repeat("a", 43))
	b.Run("good", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authorize(good, access.Ingest); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("good parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := a.Authorize(good, access.Ingest); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("bad", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authorize(bad, access.Ingest); err == nil {
				b.Fatal("let in")
			}
		}
	})
}

func TestAuthorizeAllocatesNothing(t *testing.T) {
	a := loaded(t, &database{}, nil)
	key, _ := create(t, a, "one", "ingest")
	r := bearer(key)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := a.Authorize(r, access.Ingest); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
