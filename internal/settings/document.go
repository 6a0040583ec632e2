package settings

import (
	"encoding/json"
	"maps"
	"time"
)

// Document is the JSON form of Settings, as GET /stats and POST /config answer it.
type Document struct {
	Enabled        bool               `json:"enabled" doc:"Whether events are taken in; when not, the doors answer 503"`
	DebugMode      bool               `json:"debug_mode" doc:"Whether debug lines are logged"`
	ConsoleLogging bool               `json:"console_logging" doc:"Whether events are written to the log, for development"`
	BufferSize     int                `json:"buffer_size" minimum:"1" maximum:"100000" doc:"How many waiting events make the store writer flush"`
	FlushInterval  float64            `json:"flush_interval" minimum:"0.01" maximum:"3600" doc:"Seconds an event waits at most before the store writer flushes"`
	SampleRates    map[string]float64 `json:"sample_rates" doc:"Share of events taken in, by event type, over 0 and up to 1; a type that is not named is taken in whole"`
	Thresholds     ThresholdsDocument `json:"thresholds" doc:"What counts as too slow or too full"`
}

// ThresholdsDocument is the JSON form of Thresholds.
type ThresholdsDocument struct {
	SlowRequestMS     float64 `json:"slow_request_ms" exclusiveMinimum:"0" doc:"Milliseconds from which a request is slow"`
	HighMemoryPercent float64 `json:"high_memory_percent" exclusiveMinimum:"0" maximum:"100" doc:"Percent of memory from which it is nearly full"`
	HighCPUPercent    float64 `json:"high_cpu_percent" exclusiveMinimum:"0" maximum:"100" doc:"Percent of CPU from which it is nearly busy"`
	HighDiskPercent   float64 `json:"high_disk_percent" exclusiveMinimum:"0" maximum:"100" doc:"Percent of the data directory's disk from which it is nearly full"`
}

// Document returns the JSON form; its maps are the caller's own. FlushInterval is in seconds.
func (s Settings) Document() Document {
	rates := maps.Clone(s.SampleRates)
	if rates == nil {
		rates = map[string]float64{}
	}
	return Document{
		Enabled:        s.Enabled,
		DebugMode:      s.DebugMode,
		ConsoleLogging: s.ConsoleLogging,
		BufferSize:     s.BufferSize,
		FlushInterval:  float64(s.FlushInterval) / float64(time.Second),
		SampleRates:    rates,
		Thresholds:     ThresholdsDocument(s.Thresholds),
	}
}

// MarshalJSON writes the Document.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.Document()) }
