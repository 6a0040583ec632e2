package settings

import (
	"maps"
	"time"

	"github.com/tidemark-obs/tidemark/internal/event"
)

// Settings is one immutable state of the run-time settings.
type Settings struct {
	Enabled        bool
	DebugMode      bool
	ConsoleLogging bool
	BufferSize     int                // events; the store writer flushes when so many wait
	FlushInterval  time.Duration      // … or when the oldest has waited so long
	SampleRates    map[string]float64 // event type → (0, 1]; absent = 1
	Thresholds     Thresholds
}

// Thresholds are what counts as too slow or too full.
type Thresholds struct {
	SlowRequestMS     float64 // milliseconds
	HighMemoryPercent float64
	HighCPUPercent    float64
	HighDiskPercent   float64
}

// Defaults returns the settings of the contract.
func Defaults() Settings {
	return Settings{
		Enabled:       true,
		BufferSize:    100,
		FlushInterval: time.Second,
		Thresholds: Thresholds{
			SlowRequestMS: 2000, HighMemoryPercent: 85, HighCPUPercent: 90, HighDiskPercent: 90,
		},
	}
}

// SampleRate is the share of events of type t to take in, in (0, 1].
func (s Settings) SampleRate(t event.Type) float64 {
	if rate, ok := s.SampleRates[string(t)]; ok {
		return rate
	}
	return 1
}

// Validate reports every setting that is out of bounds, as POST /config would.
func (s Settings) Validate() error {
	doc, err := s.MarshalJSON()
	if err != nil {
		return err // a number that JSON cannot hold
	}
	_, err = Defaults().Apply(doc)
	return err
}

// equal reports whether both hold the same values.
func (s Settings) equal(o Settings) bool {
	return s.Enabled == o.Enabled && s.DebugMode == o.DebugMode && s.ConsoleLogging == o.ConsoleLogging &&
		s.BufferSize == o.BufferSize && s.FlushInterval == o.FlushInterval && s.Thresholds == o.Thresholds &&
		maps.Equal(s.SampleRates, o.SampleRates)
}
