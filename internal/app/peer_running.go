package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/httpapi"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// Submit hands rows to the service's own door.
func (p *runningPeer) Submit(ctx context.Context, rows []transfer.Row) ([]transfer.Refusal, error) {
	var body []byte
	for i := range rows {
		body = append(append(body, rows[i].JSON...), '\n')
	}
	var answer httpapi.ImportAnswer
	err := p.call(ctx, http.MethodPost, "/api/analytics/events/import", body, transfer.NDJSON.ContentType(), &answer)
	if err != nil {
		return nil, err
	}
	if answer.Received != len(rows) {
		return nil, errs.New(errs.Internal, "the running service counts other rows than were sent")
	}
	refused := make([]transfer.Refusal, 0, answer.Rejected)
	for _, e := range answer.Errors {
		if e.Row < 1 || e.Row > int64(len(rows)) {
			return nil, errs.New(errs.Internal, "the running service speaks of rows that were not sent")
		}
		refused = append(refused, transfer.Refusal{Row: rows[e.Row-1].Number, Reason: e.Reason})
	}
	return refused, nil
}

// scan reads the service's export page by page, and asks again from where it was when the
// connection breaks.
func (p *runningPeer) scan(f store.Filter, after store.Position) func(context.Context) ([]event.Event, error) {
	s := &remoteScan{p: p, filter: f, after: after}
	return s.next
}

type remoteScan struct {
	p      *runningPeer
	filter store.Filter
	after  store.Position
	body   io.ReadCloser
	lines  transfer.Reader
	ended  bool
}

const (
	remotePage    = 1_000 // events
	remoteRetries = 10    // without one event between them
	remoteWait    = time.Second
)

func (s *remoteScan) next(ctx context.Context) ([]event.Event, error) {
	for try := 0; ; try++ {
		page, err := s.page(ctx)
		if len(page) > 0 || err == nil {
			return page, nil
		}
		s.drop()
		if !errs.Is(err, errs.Unavailable) || try == remoteRetries || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-time.After(remoteWait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// page reads events until there are enough of them. What has been read counts, whatever follows.
func (s *remoteScan) page(ctx context.Context) (page []event.Event, err error) {
	if s.ended {
		return nil, nil
	}
	if s.lines == nil {
		if err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	for len(page) < remotePage {
		row, err := s.lines.Next()
		if errors.Is(err, io.EOF) {
			s.drop()
			s.ended = true
			return page, nil
		}
		if err != nil {
			s.drop()
			return page, errs.Wrap(errs.Unavailable, "the service's answer broke off", err)
		}
		var e event.Event
		if err := eventjson.Parse(row.JSON, &e); err != nil {
			return nil, errs.Wrap(errs.Internal, "the service's answer cannot be read", fmt.Errorf("line %d: %w", row.Number, err))
		}
		s.after = store.Position{Timestamp: e.Timestamp, EventID: e.ID}
		page = append(page, e)
	}
	return page, nil
}

func (s *remoteScan) open(ctx context.Context) error {
	q, err := filterQuery(s.filter)
	if err != nil {
		return err
	}
	if !s.after.Timestamp.IsZero() {
		q.Set("cursor", httpapi.Cursor(s.after))
	}
	res, err := s.p.ask(ctx, http.MethodGet, "/api/analytics/events/export?"+q.Encode(), "", nil)
	if err != nil {
		return err
	}
	s.body = res.Body
	s.lines, err = transfer.NewReader(transfer.NDJSON, bufio.NewReader(res.Body))
	return err
}

func (s *remoteScan) drop() {
	if s.body != nil {
		_ = s.body.Close() // there is nothing left to read
	}
	s.body, s.lines = nil, nil
}

// parquet has the service write the file, which for the embedded database is many times faster.
func (p *runningPeer) parquet(ctx context.Context, f store.Filter, path string) (done bool, err error) {
	q, err := filterQuery(f)
	if err != nil {
		return false, err
	}
	q.Set("format", string(transfer.Parquet))
	res, err := p.ask(ctx, http.MethodGet, "/api/analytics/events/export?"+q.Encode(), "", nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	return true, writeFile(path, res.Body)
}

// filterQuery are the parameters of GET /events that select the same.
func filterQuery(f store.Filter) (url.Values, error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"event_type": f.EventType, "event_name": f.EventName, "user_id": f.UserID,
		"session_id": f.SessionID, "severity": f.Severity,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Processed != nil {
		q.Set("processed", strconv.FormatBool(*f.Processed))
	}
	conditions := slices.Clone(f.Where)
	tags, _ := question.ParseField("tags")
	for _, tag := range f.Tags {
		if strings.Contains(tag, ",") || strings.TrimSpace(tag) != tag { // the parameter would divide or trim it
			conditions = append(conditions, question.Condition{Field: tags, Op: question.Contains, Value: question.Value{Kind: question.Text, Text: tag}})
		} else {
			q.Add("tags", tag)
		}
	}
	for name, at := range map[string]time.Time{"start_date": f.Start, "end_date": f.End} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if len(conditions) == 0 {
		return q, nil
	}
	where, err := json.Marshal(conditions)
	q.Set("where", string(where))
	return q, err
}
