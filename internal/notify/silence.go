package notify

import (
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tidemark-obs/tidemark/internal/store"
)

// silence is a silence, ready to be asked.
type silence struct {
	store.Silence
	matchers labels.Matchers
}

func (s *silence) mutes(ls map[string]string, now time.Time) bool {
	return !now.Before(s.StartsAt) && now.Before(s.EndsAt) && matches(s.matchers, ls)
}

// loadSilences takes in all silences. One whose matchers cannot be read any more mutes nothing:
// no matchers would match everything.
func (b *book) loadSilences(all []store.Silence) {
	b.silences = b.silences[:0:0]
	for _, s := range all {
		ms, _, err := parseMatchers(s.Matchers)
		if err != nil || len(ms) == 0 {
			continue
		}
		b.silences = append(b.silences, silence{s, ms})
	}
}

// silencedBy names the silences that mute an alert.
func (b *book) silencedBy(ls map[string]string, now time.Time) []string {
	var ids []string
	for i := range b.silences {
		if b.silences[i].mutes(ls, now) {
			ids = append(ids, b.silences[i].ID)
		}
	}
	return ids
}
