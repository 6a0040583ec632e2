package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/transfer"
)

const (
	// exports is how many exports run at once; each holds a page in memory.
	exports = 4
	// exportPiece is what a client must take, in bytes, within Limits.ExportStall.
	exportPiece = 64 << 10
)

type exportInput struct {
	FilterInput
	Format string `query:"format" enum:"ndjson,csv,parquet" default:"ndjson"`
	Cursor string `query:"cursor" doc:"Begin after this place: a cursor made of the last event that arrived"`
}

func (s *Server) registerExport() {
	op := operation{route: route{method: http.MethodGet, path: base + "/events/export", scope: access.Admin},
		id: "export-events", tag: "events", summary: "Stored events as a file, oldest first",
		detail: "NDJSON, CSV or Parquet, streamed. The connection ends early when something goes wrong on the way: only an answer that ends properly is whole. " +
			"A client that takes nothing for a while is cut off.",
		faults: []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}}
	d := op.describe()
	content := make(map[string]*huma.MediaType, len(transfer.Formats))
	for _, f := range transfer.Formats {
		content[f.ContentType()] = &huma.MediaType{}
	}
	d.Responses = map[string]*huma.Response{"200": {Description: "The events", Content: content}}
	huma.Register(s.api, d, func(_ context.Context, in *exportInput) (*huma.StreamResponse, error) {
		var p params
		f := s.filter(&p, &in.FilterInput)
		page := p.cursor("cursor", in.Cursor, 0)
		if err := p.err(); err != nil {
			return nil, problemOf(err)
		}
		e := export{filter: f, after: store.Position{Timestamp: page.Timestamp, EventID: page.EventID}, format: transfer.Format(in.Format)}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			s.export(w, r, &e)
		}}, nil
	})
}

// export is one export.
type export struct {
	filter store.Filter
	after  store.Position
	format transfer.Format
}

// export answers with the file. Once it has begun an error can only be told by cutting it off.
func (s *Server) export(w http.ResponseWriter, r *http.Request, e *export) {
	err := s.exportWithin(w, r, e)
	if err == nil {
		return
	}
	if rw, ok := w.(*response); ok && rw.status == 0 {
		w.Header().Del("Content-Disposition")
		s.fail(w, r, err)
		return
	}
	if r.Context().Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.deps.Logger.WarnContext(r.Context(), "an export was cut off", "request_id", requestIDOf(w), "error", err)
	}
	panic(http.ErrAbortHandler)
}

func (s *Server) exportWithin(w http.ResponseWriter, r *http.Request, e *export) error {
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return errs.New(errs.Overloaded, "too many exports at once; try again when one has ended")
	}
	out := &steady{w: w, rc: http.NewResponseController(w), stall: s.deps.Limits.ExportStall}
	begin := func() {
		h := w.Header()
		h.Set("Content-Type", e.format.ContentType())
		h.Set("Content-Disposition", `attachment; filename="events.`+string(e.format)+`"`)
	}
	if e.format == transfer.Parquet && s.deps.Archive.WritesParquet() && e.after.Timestamp.IsZero() {
		return s.deps.Archive.WriteParquet(r.Context(), e.filter, func(path string) error {
			begin()
			return copyFile(out, path)
		})
	}
	scan := s.deps.Archive.Scan(e.filter, e.after)
	page, err := scan(r.Context())
	if err != nil {
		return err
	}
	begin()
	return writeScan(r.Context(), out, e.format, page, scan)
}

// writeScan writes page after page. While one is written nothing of the database is held.
func writeScan(ctx context.Context, out io.Writer, f transfer.Format, page []event.Event, next func(context.Context) ([]event.Event, error)) error {
	to, err := transfer.NewWriter(f, out, false)
	if err != nil {
		return err
	}
	for len(page) > 0 {
		if err := to.Write(page); err != nil {
			return err
		}
		if page, err = next(ctx); err != nil {
			return err
		}
	}
	return to.Close()
}

// copyFile sends a file that nobody else can reach any more: it is gone from the disk when the
// client is, however that ends.
func copyFile(out io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		return err
	}
	_, err = io.CopyBuffer(out, onlyReader{f}, make([]byte, exportPiece))
	return err
}

// onlyReader keeps io.Copy from going past the pieces.
type onlyReader struct{ io.Reader }

// steady writes to a client that has to keep taking.
type steady struct {
	w     io.Writer
	rc    *http.ResponseController
	stall time.Duration
}

func (s *steady) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		piece := b[:min(len(b), exportPiece)]
		// By the socket's own clock; unsupported only where there is no connection.
		_ = s.rc.SetWriteDeadline(time.Now().Add(s.stall))
		m, err := s.w.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}
