package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// A cursor is the place of the last event shown: version, microseconds, id. It is text without
// meaning to clients, so its form may change; old ones are then refused.
const (
	cursorVersion = 1
	cursorHead    = 1 + 8
	maxCursorID   = 400 // bytes: 100 characters
)

func cursorAfter(e *event.Event) string {
	return Cursor(store.Position{Timestamp: e.Timestamp, EventID: e.ID})
}

// Cursor is the cursor of a place between two events.
func Cursor(p store.Position) string {
	b := make([]byte, 0, cursorHead+len(p.EventID))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Timestamp.UnixMicro()))
	b = append(b, p.EventID...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// cursor reads where a page begins.
func (p *params) cursor(name, value string, limit int) store.Page {
	page := store.Page{Limit: limit}
	if value == "" {
		return page
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	broken := strings.ContainsAny(value, "\r\n") // which even the strict decoding skips
	if err == nil && !broken && len(b) > cursorHead && len(b) <= cursorHead+maxCursorID && b[0] == cursorVersion {
		page.Timestamp = time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
		page.EventID = string(b[cursorHead:])
		year := page.Timestamp.Year()
		if utf8.ValidString(page.EventID) && strings.IndexByte(page.EventID, 0) < 0 && 1 <= year && year <= 9999 {
			return page
		}
	}
	p.fail(name, "is not a cursor of this list")
	return store.Page{Limit: limit}
}
