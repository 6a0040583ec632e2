package pgtest_test

import (
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/lib/pq"

	"github.com/tidemark-obs/tidemark/internal/leaktest"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestURLGivesEachTestItsOwnDatabase(t *testing.T) {
	a, b := open(t, pgtest.URL(t)), open(t, pgtest.URL(t))
	for _, db := range []*sql.DB{a, b} {
		if _, err := db.Exec("CREATE TABLE x (n int)"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServerSurvivesEachFault(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t, pgtest.DataDir(dir), pgtest.Setting("max_connections", "20"))
	db := open(t, s.Database(t))
	if _, err := db.Exec("CREATE TABLE x (n int)"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []pgtest.Mode{pgtest.Fast, pgtest.Immediate} {
		if err := s.Stop(mode); err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", s.Addr()); err == nil {
			c.Close()
			t.Fatal("the stopped server still listens")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Restart(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := open(t, s.DSN("postgres")).QueryRow("SHOW max_connections").Scan(&n); err != nil || n != 20 {
		t.Fatalf("max_connections = %d, %v; want 20", n, err)
	}

	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, s.DSN("postgres")+"&connect_timeout=1").Ping(); err == nil {
		t.Error("a paused server answered")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO x VALUES (2)"); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}
