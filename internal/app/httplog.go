package app

import (
	"log"
	"log/slog"
)

// newHTTPLog lets net/http complain at debug level: what it reports are clients' broken connections.
func newHTTPLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.With("component", "http").Handler(), slog.LevelDebug)
}
