package httpapi

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// StatsAnswer is the answer of GET /stats.
type StatsAnswer struct {
	BufferSize      uint64            `json:"buffer_size" doc:"Events accepted and not yet stored"`
	LastFlush       *time.Time        `json:"last_flush" doc:"When events were last stored; null before the first time"`
	EnabledServices []string          `json:"enabled_services" nullable:"false" doc:"What is at work"`
	Config          settings.Document `json:"config"`
	Storage         *StorageAnswer    `json:"storage" doc:"null until it has been measured"`
}

// StorageAnswer is what the stored events take, as measured within the last minutes.
type StorageAnswer struct {
	Events        int64   `json:"events" doc:"On PostgreSQL by the server's statistics"`
	Bytes         int64   `json:"bytes" doc:"On disk, with what deleted events left"`
	BytesPerEvent float64 `json:"bytes_per_event" doc:"Of what the events that are there need"`
	// PropertyColumns is there on the embedded database only.
	PropertyColumns []string `json:"property_columns,omitempty" nullable:"false" doc:"Properties that have columns of their own, as questions name them: questions by these are answered faster"`
}

// ConfigAnswer is the answer of POST /config.
type ConfigAnswer struct {
	Success       bool              `json:"success"`
	Message       string            `json:"message"`
	UpdatedConfig settings.Document `json:"updated_config" doc:"What applies now"`
}

// ConfigChange is the body of POST /config: any subset of its keys.
type ConfigChange struct {
	Enabled        *bool              `json:"enabled,omitempty" doc:"Whether events are taken in"`
	DebugMode      *bool              `json:"debug_mode,omitempty" doc:"Log debug lines, and tell warnings in the answers of single events"`
	ConsoleLogging *bool              `json:"console_logging,omitempty" doc:"Write events to the log, for development"`
	BufferSize     *int               `json:"buffer_size,omitempty" minimum:"1" maximum:"100000" doc:"How many waiting events make the store writer flush"`
	FlushInterval  *float64           `json:"flush_interval,omitempty" minimum:"0.01" maximum:"3600" doc:"Seconds an event waits at most; a duration such as 1s is taken too"`
	SampleRates    map[string]float64 `json:"sample_rates,omitempty" doc:"Share of events taken in, by event type, over 0 and up to 1"`
	Thresholds     map[string]float64 `json:"thresholds,omitempty" doc:"slow_request_ms, high_memory_percent, high_cpu_percent, high_disk_percent"`
}

// FlushAnswer is the answer of POST /flush.
type FlushAnswer struct {
	Success      bool   `json:"success"`
	Message      string `json:"message"`
	FlushedCount int64  `json:"flushed_count" doc:"Events that waited to be stored and now are"`
}

type statsOutput struct{ Body StatsAnswer }

func (s *Server) registerService() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/stats", scope: access.Read},
		id: "stats", tag: "analytics", summary: "How the service stands and is set"}, s.stats)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/config", scope: access.Admin},
		id: "configure", tag: "analytics", summary: "Change the run-time settings",
		detail: "Any subset of the keys. Checked whole before anything applies; kept over restarts.",
		faults: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		ConfigChange{}, map[int]payload{200: ConfigAnswer{}}, s.configure)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/flush", scope: access.Ingest},
		id: "flush", tag: "analytics", summary: "Store everything that was accepted",
		detail: "Returns when all that was accepted before it is stored.", faults: []int{http.StatusServiceUnavailable}},
		nil, map[int]payload{200: FlushAnswer{}}, s.flush)
}

func (s *Server) stats(context.Context, *struct{}) (*statsOutput, error) {
	status := s.deps.Backlog.Status()
	out := &statsOutput{Body: StatsAnswer{
		BufferSize:      status.Buffered,
		EnabledServices: append(append([]string{}, s.deps.Services...), s.deps.Destinations.Enabled()...),
		Storage:         s.storage(),
		Config:          s.deps.Settings.Current().Document(),
	}}
	if !status.LastFlush.IsZero() {
		at := status.LastFlush.UTC()
		out.Body.LastFlush = &at
	}
	return out, nil
}

func (s *Server) configure(w http.ResponseWriter, r *http.Request) error {
	b, err := s.bodies.read(w, r)
	if err != nil {
		return badRequest(err)
	}
	defer b.release()
	now, err := s.deps.Settings.Update(r.Context(), b.buf)
	if err != nil {
		return badRequest(err)
	}
	return writeJSON(w, http.StatusOK, ConfigAnswer{Success: true,
		Message: "Analytics configuration updated", UpdatedConfig: now.Document()})
}

// flush takes no body; one that is sent is left unread.
func (s *Server) flush(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), s.deps.Limits.FlushWait)
	defer cancel()
	n, err := s.deps.Backlog.Flush(ctx)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, FlushAnswer{Success: true, Message: "Events flushed successfully", FlushedCount: n})
}

func (s *Server) storage() *StorageAnswer {
	z, known := s.deps.Upkeep.Size()
	if !known {
		return nil
	}
	a := &StorageAnswer{Events: z.Events, Bytes: z.Bytes, PropertyColumns: z.Columns}
	if z.Events > 0 {
		a.BytesPerEvent = math.Round(float64(z.Live)/float64(z.Events)*10) / 10
	}
	return a
}
