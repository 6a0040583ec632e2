package app

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestAnErasureReachesOtherJournals erases through one replica who is in the journal of another.
func TestAnErasureReachesOtherJournals(t *testing.T) {
	first := testConfig(t.TempDir())
	first.Database.URL = pgtest.URL(t)
	second := first
	second.Data.Dir = t.TempDir()
	a, b := start(t, first, Options{}), start(t, second, Options{})
	body := fmt.Sprintf(`{"event": "e", "user_id": %q}`, person)
	if status, answer := call(t, b, "POST", "/api/analytics/track", body); status != 200 {
		t.Fatalf("track: %d %v", status, answer)
	}
	call(t, b, "POST", "/api/analytics/flush", "")
	journal := filepath.Join(second.Data.Dir, "journal")
	if len(filesWith(t, journal, person)) == 0 {
		t.Fatal("the person is not found where they must be: the search is of no use")
	}
	if status, erased := call(t, a, "DELETE", "/api/analytics/users/"+url.PathEscape(person), ""); status != 200 || erased["events"] != 1.0 {
		t.Fatalf("erase: %d %v", status, erased)
	}
	cleanNow(t, b)
	if left := filesWith(t, journal, person); len(left) > 0 {
		t.Errorf("the other replica's journal still holds the person: %v", left)
	}
	before := b.journal.State().LastSeq
	cleanNow(t, b)
	stop(t, b)
	b = start(t, second, Options{})
	cleanNow(t, b)
	if after := b.journal.State().LastSeq; after-before > 5 { // a start may leave some messages, cleaning at least 14
		t.Errorf("it was cleaned again for nothing: the journal went from %d to %d", before, after)
	}
}

// TestAReceiptWaitsForTheJournalOverAKill has a replica find what one that was killed between an
// erasure and the cleaning of its journal left behind.
func TestAReceiptWaitsForTheJournalOverAKill(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Database.URL = pgtest.URL(t)
	a := start(t, cfg, Options{})
	file := filepath.Join(cfg.Data.Dir, "journal-unclean")
	status, erased := call(t, a, "DELETE", "/api/analytics/users/"+url.PathEscape(person), "")
	if status != 200 || erased["journal_clean_at"] == nil {
		t.Fatalf("erase: %d %v", status, erased)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is complete is not forgotten: %v", err)
	}
	id := erased["erasure_id"].(string)
	ok(t, a.unclean().Keep([]string{id}))
	stop(t, a)
	db, err := sql.Open("postgres", cfg.Database.URL)
	ok(t, err)
	defer db.Close()
	_, err = db.Exec(`UPDATE erasures SET journal_at = NULL`)
	ok(t, err)
	a = start(t, cfg, Options{})
	cleanNow(t, a)
	if _, r := call(t, a, "GET", "/api/analytics/erasures/"+id, ""); r["journal_clean_at"] == nil {
		t.Errorf("the receipt is %v", r)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is complete is not forgotten: %v", err)
	}
}

// cleanNow cleans a replica's journal. The replica may be at it as well since it has just started, and
// one of both then finds its new file gone.
func cleanNow(t *testing.T, a *App) {
	t.Helper()
	proctest.Eventually(t, time.Minute, "a clean journal", func() error { return a.cleanJournal(t.Context()) })
}

const person = "erika.mustermann@example.org"

// filesWith are the files under a directory that hold a text, as it is or in a compressed message.
func filesWith(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		name := strings.TrimPrefix(path, dir)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, name)
		}
		for _, lines := range compressed(t, content) {
			if bytes.Contains(lines, []byte(text)) {
				found = append(found, name+inMessage)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// inMessage marks a file in which a text was found in a compressed message only.
const inMessage = " (compressed)"

// compressed are the lines of all compressed messages that a file of the journal holds, those too
// that count as deleted. A record is its length, a position and a time, the subject with its length
// before it, the headers with theirs, the data and a checksum.
func compressed(t *testing.T, file []byte) (messages [][]byte) {
	t.Helper()
	const subject, headers = "tidemark.journal", "NATS/1.0\r\n"
	const before, checksum = 4 + 8 + 8 + 2, 8
	for at := 0; ; {
		i := bytes.Index(file[at:], []byte(subject))
		if i < 0 {
			return messages
		}
		start := at + i - before
		at += i + len(subject)
		if start < 0 || len(file) < at+4+len(headers) || string(file[at+4:][:len(headers)]) != headers {
			continue // the subject stands in an index, too
		}
		record := file[start:]
		length := int(binary.LittleEndian.Uint32(record) &^ (1 << 31))
		data := before + len(subject) + 4 + int(binary.LittleEndian.Uint32(file[at:]))
		if length > len(record) || data+checksum > length {
			t.Fatalf("a record of the journal of %d bytes has %d bytes of headers: the search does not know the file's form", length, data)
		}
		if !bytes.Contains(record[:data], []byte("\r\nTidemark-Encoding: s2\r\n")) {
			continue
		}
		lines, err := s2.Decode(nil, record[data:length-checksum])
		if err != nil {
			t.Fatalf("a compressed message of the journal cannot be read: %v", err)
		}
		messages = append(messages, lines)
	}
}

// TestAnErasedPersonIsNowhere sends events of a person among others, erases the person, and looks
// into every file of the data directory.
func TestAnErasedPersonIsNowhere(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			if database == "postgres" {
				cfg.Database.URL = pgtest.URL(t)
			}
			a := start(t, cfg, Options{})
			fill(t, a, 1_000)
			var together []string // ten events, which the journal compresses, and ten alone, which it does not
			for i := range 20 {
				body := fmt.Sprintf(`{"event": "e", "event_id": "p%d", "user_id": %q, "properties": {"mail": %q, "i": %d}}`, i, person, person, i)
				if i < 10 {
					together = append(together, body)
				} else if status, answer := call(t, a, "POST", "/api/analytics/track", body); status != 200 {
					t.Fatalf("track: %d %v", status, answer)
				}
			}
			if status, answer := call(t, a, "POST", "/api/analytics/batch-track", "["+strings.Join(together, ",")+"]"); status != 200 || answer["tracked_count"] != 10.0 {
				t.Fatalf("batch: %d %v", status, answer)
			}
			call(t, a, "POST", "/api/analytics/flush", "")
			var plain, packed int
			for _, name := range filesWith(t, filepath.Join(cfg.Data.Dir, "journal"), person) {
				if strings.HasSuffix(name, inMessage) {
					packed++
				} else {
					plain++
				}
			}
			if plain == 0 || packed == 0 {
				t.Fatalf("the person is found %d times as they are and %d times compressed: the search is of no use", plain, packed)
			}
			status, erased := call(t, a, "DELETE", "/api/analytics/users/"+url.PathEscape(person)+"?refuse=true", "")
			if status != 200 || erased["events"] != 20.0 || erased["refuse"] != true || erased["journal_clean_at"] == nil || erased["status"] != "removed" {
				t.Fatalf("erase: %d %v", status, erased)
			}
			if _, again := call(t, a, "GET", "/api/analytics/erasures/"+erased["erasure_id"].(string), ""); !reflect.DeepEqual(again, erased) {
				t.Errorf("the receipt was %v, and is %v", erased, again)
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
