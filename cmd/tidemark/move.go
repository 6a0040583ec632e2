package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tidemark-obs/tidemark/internal/app"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

// service is a running service named by its address.
type service struct {
	URL string `name:"service.url" env:"TIDEMARK_SERVICE_URL" placeholder:"URL" help:"Ask the service at http://host:8080 instead of opening its data directory."`
	Key string `name:"service.key" env:"TIDEMARK_SERVICE_KEY" placeholder:"KEY" help:"Access key of scope admin for --service.url."`
}

func (s *service) remote() app.Remote { return app.Remote{URL: s.URL, Key: s.Key} }

// filters select events, under the names that GET /api/analytics/events has for them.
type filters struct {
	EventType string   `name:"event_type" placeholder:"TYPE" help:"Only events of this type."`
	EventName string   `name:"event_name" placeholder:"NAME" help:"Only events of this name."`
	UserID    string   `name:"user_id" placeholder:"ID" help:"Only events of this user."`
	SessionID string   `name:"session_id" placeholder:"ID" help:"Only events of this session."`
	Severity  string   `name:"severity" placeholder:"SEVERITY" help:"Only events of this severity."`
	Processed *bool    `name:"processed" placeholder:"BOOL" help:"Only events that are processed, or with =false, that are not."`
	Tags      []string `name:"tags" placeholder:"TAG" help:"Only events that have all of these tags."`
	StartDate string   `name:"start_date" placeholder:"TIME" help:"Only events from this time on: RFC 3339 or YYYY-MM-DD."`
	EndDate   string   `name:"end_date" placeholder:"TIME" help:"Only events before this time: RFC 3339 or YYYY-MM-DD."`
	Where     string   `name:"where" placeholder:"JSON" help:"Only events that meet these conditions, written as for questions: [{\"field\": …, \"op\": …, \"value\": …}]."`
}

func (f *filters) filter() (store.Filter, error) {
	s := store.Filter{
		EventType: f.EventType, EventName: f.EventName, UserID: f.UserID, SessionID: f.SessionID,
		Severity: f.Severity, Processed: f.Processed, Tags: f.Tags,
	}
	err := errors.Join(known("event_type", f.EventType, event.Types), known("severity", f.Severity, event.Severities))
	if err != nil {
		return s, err
	}
	if s.Start, err = instant("start_date", f.StartDate); err != nil {
		return s, err
	}
	if s.End, err = instant("end_date", f.EndDate); err != nil {
		return s, err
	}
	if !s.Start.IsZero() && !s.End.IsZero() && !s.Start.Before(s.End) {
		return s, errors.New("--end_date must be after --start_date")
	}
	p := question.Parser{Prefix: "--"}
	s.Where = p.Where("where", []byte(f.Where))
	if err := p.Err(); err != nil {
		return s, errors.New(transfer.ReasonOf(err))
	}
	return s, nil
}

// known refuses what no event has: a slip of the pen would make an empty file.
func known[T ~string](name, value string, all []T) error {
	if value == "" || slices.Contains(all, T(value)) {
		return nil
	}
	return fmt.Errorf("--%s must be one of %v", name, all)
}

func instant(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s must be a time such as 2026-01-31T15:04:05Z or a day such as 2026-01-31", name)
}

type exportCmd struct {
	common  `embed:""`
	service `embed:""`
	filters `embed:""`
	Output  string `short:"o" placeholder:"FILE" help:"File to write; run again after a failure, it goes on where it was. Default: standard output."`
	Format  string `placeholder:"FORMAT" help:"ndjson, csv or parquet (default: by the file's ending, else ndjson)."`
}

// Run writes stored events to a file or to standard output.
func (c *exportCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.moving()
	if err != nil {
		return err
	}
	f, err := c.filter()
	if err == nil && c.URL == "" {
		err = cfg.HasData()
	}
	if err != nil {
		return err
	}
	x := app.Export{Filter: f, Format: c.Format, Path: c.Output, Mode: s.mode, Remote: c.remote(), Out: s.out, Log: s.err}
	return stopped(ctx, x.Run(ctx, cfg), c.left())
}

// left is what an export that is stopped leaves behind.
func (c *exportCmd) left() string {
	if c.Output == "" {
		return "what was written is not all there is; with --output, the same command goes on where it was"
	}
	return c.Output + " is not written yet; run the same command again, which goes on where it was (a Parquet file begins anew)"
}

type importCmd struct {
	common  `embed:""`
	service `embed:""`
	File    string `arg:"" optional:"" help:"NDJSON, CSV or Parquet file; - is standard input."`
	From    string `placeholder:"SERVICE" help:"Instead of a file, everything that another service has: its data directory, or its postgres:// URL."`
	Format  string `placeholder:"FORMAT" help:"ndjson, csv or parquet (default: by the file's ending, else ndjson)."`
	State   string `placeholder:"FILE" help:"Keeps how far the import is, so that the same command, run again after a failure, need not read what it has taken in."`
	Strict  bool   `help:"Stop at the first row that is rejected."`
}

// Run takes in events through validation, journal and ledger.
func (c *importCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.moving()
	if err != nil {
		return err
	}
	m := app.Import{Path: c.File, From: c.From, Format: c.Format, State: c.State, Strict: c.Strict,
		Remote: c.remote(), In: os.Stdin, Log: s.err}
	return stopped(ctx, m.Run(ctx, cfg),
		"what was accepted is kept and will be stored; run the same command again for the rest, nothing is taken in twice")
}

// moving is the configuration of a command that moves events, within the memory of a service.
func (o *common) moving() (app.Config, error) {
	cfg, err := o.config()
	if err == nil {
		err = cfg.Check()
	}
	if err == nil {
		limitMemory(&cfg)
	}
	return cfg, err
}
