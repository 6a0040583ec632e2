package app

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
)

const person = "erika.mustermann@example.org"

// filesWith are the files under a directory that hold a text.
func filesWith(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAnErasedPersonIsNowhere sends events of a person among others, erases the person, and looks
// into every file of the data directory.
func TestAnErasedPersonIsNowhere(t *testing.T) {
	for _, database := range []string{"duckdb", "postgres"} {
		t.Run(database, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			if database == "postgres" {
				cfg.Database.URL = pgtest.URL(t)
			}
			a := start(t, cfg, Options{})
			fill(t, a, 1_000)
			for i := range 20 {
				body := fmt.Sprintf(`{"event": "e", "event_id": "p%d", "user_id": %q, "properties": {"mail": %q, "i": %d}}`, i, person, person, i)
				if status, answer := call(t, a, "POST", "/api/analytics/track", body); status != 200 {
					t.Fatalf("track: %d %v", status, answer)
				}
			}
			call(t, a, "POST", "/api/analytics/flush", "")
			if len(filesWith(t, cfg.Data.Dir, person)) == 0 {
				t.Fatal("the person is not found where they must be: the search is of no use")
			}
			status, erased := call(t, a, "DELETE", "/api/analytics/users/"+url.PathEscape(person)+"?refuse=true", "")
			if status != 200 || erased["events"] != 20.0 || erased["refuse"] != true || erased["journal_clean_at"] == nil || erased["status"] != "removed" {
				t.Fatalf("erase: %d %v", status, erased)
			}
			if left := filesWith(t, filepath.Join(cfg.Data.Dir, "journal"), person); len(left) > 0 {
				t.Errorf("the journal still holds the person: %v", left)
			}
			for name, body := range map[string]string{"late": `{"event": "e", "event_id": "late", "user_id": "` + person + `"}`, "other": `{"event": "e", "event_id": "other"}`} {
				if status, _ := call(t, a, "POST", "/api/analytics/track", body); status != 200 {
					t.Fatalf("%s: %d", name, status)
				}
			}
			call(t, a, "POST", "/api/analytics/flush", "")
			if _, r := call(t, a, "GET", "/api/analytics/receipts/late", ""); r["status"] != "dead_lettered" || r["reason"] != "erased" {
				t.Errorf("the late event's receipt: %v", r)
			}
			if _, l := call(t, a, "GET", "/api/analytics/ledger", ""); l["dead_lettered"] != 1.0 || l["lost"] != 0.0 || l["accepted"] != l["stored"].(float64)+1 {
				t.Errorf("ledger %v", l)
			}
			if _, again := call(t, a, "DELETE", "/api/analytics/users/"+url.PathEscape(person), ""); again["events"] != 0.0 {
				t.Errorf("erased again: %v", again)
			}
			if err := Maintain(t.Context(), cfg, true, io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			path := "/api/analytics/erasures/" + erased["erasure_id"].(string)
			if _, r := call(t, a, "GET", path, ""); r["status"] != "complete" || r["events"] != 20.0 || r["late"] != 1.0 || strings.Contains(fmt.Sprint(r), person) {
				t.Errorf("the receipt says %v", r)
			}
			stop(t, a)
			if left := filesWith(t, cfg.Data.Dir, person); len(left) > 0 {
				t.Errorf("the person is still in %v", left)
			}
			if n := len(everything(t, cfg)); n != 1_000 { // one of them deleted before, one sent since
				t.Errorf("%d events are left", n)
			}
		})
	}
}
