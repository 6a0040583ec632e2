package app

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/tidemark-obs/tidemark/internal/telemetry"
)

func parseLevel(s string) (slog.Level, error) {
	var l slog.Level
	if s == "" {
		return slog.LevelInfo, nil
	}
	err := l.UnmarshalText([]byte(s))
	return l, err
}

// newLogger writes text to a terminal and JSON elsewhere, unless the format is said. Lines of a
// request name its trace.
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "text" || format == "" && isTerminal(w) {
		return slog.New(telemetry.LogHandler(slog.NewTextHandler(w, o)))
	}
	return slog.New(telemetry.LogHandler(slog.NewJSONHandler(w, o)))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
