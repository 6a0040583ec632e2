package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog passes on what the embedded server logs. Its notices are noise here; its errors may
// mean that it cannot write, and wake who can find out.
type serverLog struct {
	log     *slog.Logger
	onError func()

	mu   sync.Mutex
	last string // the last fatal message
}

func (s *serverLog) Noticef(format string, v ...any) { s.log.Debug(fmt.Sprintf(format, v...)) }
func (s *serverLog) Debugf(format string, v ...any)  { s.log.Debug(fmt.Sprintf(format, v...)) }
func (s *serverLog) Tracef(format string, v ...any)  { s.log.Debug(fmt.Sprintf(format, v...)) }
func (s *serverLog) Warnf(format string, v ...any)   { s.log.Warn(fmt.Sprintf(format, v...)) }

func (s *serverLog) Errorf(format string, v ...any) {
	s.log.Error(fmt.Sprintf(format, v...))
	s.onError()
}

// Fatalf does not end the process: the server has given up, the program has not.
func (s *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	s.log.Error(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = text
}

func (s *serverLog) fatal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == "" {
		return errors.New("it does not become ready")
	}
	return errors.New(s.last)
}
