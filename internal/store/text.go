package store

import (
	"strings"
	"unicode/utf8"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

// holdable reports whether both databases can hold a text: UTF-8 without a NUL. PostgreSQL refuses
// other texts; DuckDB keeps a NUL, makes NULL of the rest when it is appended, and crashes the
// process when it comes in a list parameter.
func holdable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// checkTexts is Invalid unless all texts can be held. It stands before every text from outside.
func checkTexts(texts ...string) error {
	for _, s := range texts {
		if !holdable(s) {
			return errs.New(errs.Invalid, "a text is not valid UTF-8 or has a NUL")
		}
	}
	return nil
}

// checkEvent is Invalid unless all texts of an event can be held.
func checkEvent(e *event.Event) error {
	if err := checkTexts(
		e.ID, e.Name, string(e.Type), string(e.Severity), e.UserID, e.AnonymousID, e.SessionID,
		e.Source, e.UserAgent, e.IPAddress, e.Referrer, e.Timezone,
	); err != nil {
		return err
	}
	if err := checkTexts(e.Tags...); err != nil {
		return err
	}
	return checkTexts(string(e.Properties), string(e.Metadata))
}

// clean makes a text one that can be held: what is said about a refused event must not be refused
// in its turn.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
