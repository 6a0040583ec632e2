package pgtest

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

// EnvURL names the environment variable with the server to use instead of a private one.
const EnvURL = "TIDEMARK_TEST_POSTGRES_URL"

// shared is the one server of this test binary. It is a global because the tests of a binary
// have nothing else in common; its watchdog removes it when the binary ends.
var shared struct {
	sync.Mutex
	server *Server
}

// URL returns the URL of a fresh, empty database, dropped when the test ends. The shared server
// runs without fsync: a crash of the machine would lose data, a crash of the server does not.
func URL(t testing.TB) string {
	t.Helper()
	if given := os.Getenv(EnvURL); given != "" {
		return freshDatabase(t, given)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := launch(require(t), options{settings: []string{"fsync=off", "full_page_writes=off"}})
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return freshDatabase(t, shared.server.DSN("postgres"))
}

// Start runs a server of the test's own, stopped and removed when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s, err := launch(require(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("remove PostgreSQL: %v", err)
		}
	})
	return s
}

// Database returns the URL of a fresh, empty database on s, dropped when the test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name, err := create(s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return s.DSN(name)
}

// require returns the installation, or ends the test: skipped, failed under CI=true.
func require(t testing.TB) installation {
	t.Helper()
	inst, err := find()
	if err == nil {
		return inst
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true needs PostgreSQL: %v", err)
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: NOT TESTED ON POSTGRESQL: %v ***\n*** install PostgreSQL or set %s ***\n\n",
		t.Name(), err, EnvURL)
	t.Skipf("no PostgreSQL: %v", err)
	return inst
}

func freshDatabase(t testing.TB, server string) string {
	t.Helper()
	name, err := create(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func create(server string) (name string, err error) {
	name = "tm_" + strings.ToLower(rand.Text())
	return name, execute(server, "CREATE DATABASE "+pq.QuoteIdentifier(name))
}

func execute(server, statement string) error {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}
