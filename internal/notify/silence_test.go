package notify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

func TestSilencesAreChecked(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for location, change := range map[string]func(*store.Silence){
		"/matchers/1": func(s *store.Silence) { s.Matchers = []string{"a=b", "severity"} },
		"/matchers":   func(s *store.Silence) { s.Matchers = []string{`a=~".*"`, `b!="c"`} },
		"/ends_at":    func(s *store.Silence) { s.EndsAt = now.Add(-time.Second) },
		"/created_by": func(s *store.Silence) { s.CreatedBy = strings.Repeat("x", maxComment+1) },
		"/comment":    func(s *store.Silence) { s.Comment = strings.Repeat("x", maxComment+1) },
		"":            func(*store.Silence) {},
	} {
		s := store.Silence{Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: now.Add(time.Hour)}
		change(&s)
		err := checkSilence(&s, now)
		var e *errs.Error
		if location == "" {
			if err != nil {
				t.Error(err)
			}
		} else if !errors.As(err, &e) || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Location != location {
			t.Errorf("%s: %+v", location, e)
		}
	}
	for name, s := range map[string]store.Silence{
		"no matchers":   {StartsAt: now, EndsAt: now.Add(time.Hour)},
		"for two years": {Matchers: []string{"a=b"}, StartsAt: now, EndsAt: now.AddDate(2, 0, 0)},
		"ends first":    {Matchers: []string{"a=b"}, StartsAt: now.Add(2 * time.Hour), EndsAt: now.Add(time.Hour)},
		"too many":      {Matchers: make([]string, maxMatchers+1), StartsAt: now, EndsAt: now.Add(time.Hour)},
	} {
		if err := checkSilence(&s, now); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
