package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

const secret = "a-value-of-a-client"

func TestSpans(t *testing.T) {
	for system, where := range map[string]func(*testing.T) store.Config{
		"duckdb":     func(t *testing.T) store.Config { return store.Config{Dir: t.TempDir()} },
		"postgresql": func(t *testing.T) store.Config { return store.Config{URL: pgtest.URL(t)} },
	} {
		t.Run(system, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			tracer := provider.Tracer("test")
			cfg := where(t)
			cfg.Tracer = tracer
			s, err := store.Open(t.Context(), cfg)
			must(t, err)
			defer s.Close()
			_, err = s.Migrate(t.Context(), false)
			must(t, err)

			// Nobody traces these.
			must(t, s.Ping(t.Context()))
			_, err = s.Cursor(t.Context(), "s")
			must(t, err)
			if n := len(recorder.Ended()); n != 0 {
				t.Errorf("%d spans without a caller's", n)
			}

			batch := &store.Batch{From: store.Cursor{Stream: "s"}, Seq: 1, Events: storetest.NewGenerator(1, time.Now()).Events(7)}
			batch.Events[0].ID = secret
			_, err = s.Commit(t.Context(), batch)
			must(t, err)
			ctx, parent := tracer.Start(t.Context(), "request")
			_, err = s.Get(ctx, secret)
			must(t, err)
			must(t, s.Delete(ctx, secret))
			if err := s.Delete(ctx, secret); !errs.Is(err, errs.NotFound) {
				t.Fatal(err)
			}
			must(t, s.Close())
			if _, err := s.Get(ctx, secret); !errs.Is(err, errs.Unavailable) {
				t.Fatal(err)
			}
			parent.End()

			checkSpans(t, recorder.Ended(), system, parent.SpanContext().SpanID().String())
		})
	}
}

func checkSpans(t *testing.T, spans []sdktrace.ReadOnlySpan, system, parent string) {
	t.Helper()
	var told []string
	for _, span := range spans {
		attrs := attribute.NewSet(span.Attributes()...)
		if strings.Contains(fmt.Sprint(span.Attributes(), span.Name(), span.Status()), secret) {
			t.Errorf("a value is in the span %s %v", span.Name(), span.Attributes())
		}
		if span.Name() == "request" {
			continue
		}
		if v, _ := attrs.Value("db.system.name"); v.AsString() != system {
			t.Errorf("%s is of the system %q", span.Name(), v.AsString())
		}
		if _, ok := attrs.Value("server.address"); ok != (system == "postgresql") {
			t.Errorf("%s names a server: %v", span.Name(), ok)
		}
		text := span.Name()
		if span.Parent().SpanID().String() == parent {
			text = "request > " + text
		}
		if n, ok := attrs.Value("db.operation.batch.size"); ok {
			text += fmt.Sprintf(" of %d", n.AsInt64())
		}
		if span.Status().Code == codes.Error {
			kind, _ := attrs.Value("error.type")
			text += " failed: " + kind.AsString()
		}
		told = append(told, text)
	}
	want := "BATCH INSERT events of 7, request > SELECT events, request > DELETE events, request > DELETE events, " +
		"request > SELECT events failed: unavailable"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("the spans are\n%s, want\n%s", got, want)
	}
}
