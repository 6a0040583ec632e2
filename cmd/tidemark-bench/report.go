//go:build linux

package main

import (
	"encoding/json"
	"os"
	"time"
)

// report is one run.
type report struct {
	Began        time.Time     `json:"began"`
	Machine      machine       `json:"machine"`
	Plan         plan          `json:"plan"`
	Databases    []*figures    `json:"databases"`
	Past         []*past       `json:"questions,omitempty"`
	Evaluator    *watching     `json:"evaluator,omitempty"`
	Client       *tracking     `json:"client,omitempty"`
	Destinations []*delivering `json:"destinations,omitempty"`
	Verdicts     []verdict     `json:"verdicts"`
	Failure      string        `json:"failure,omitempty"` // why it is not complete
}

// figures are what was measured with one database. What was not measured is zero.
type figures struct {
	Database      string     `json:"database"`
	Setup         string     `json:"setup"`
	Raw           []rawRate  `json:"raw"`
	Empty         throughput `json:"batches_empty"`
	Growth        throughput `json:"batches_growing"`
	Grown         throughput `json:"batches_grown"`
	Singles       throughput `json:"singles"`
	Disk          quantiles  `json:"disk_append_fdatasync"`
	Clocked       quantiles  `json:"single_latency"`
	Bare          quantiles  `json:"single_latency_without_journal"`
	Locked        quantiles  `json:"single_latency_store_locked"`
	NotLocked     string     `json:"store_not_locked_because,omitempty"`
	Memory        footprint  `json:"service_memory"`
	BytesPerEvent float64    `json:"bytes_per_event_on_disk"`
	Ledger        ledger     `json:"ledger"`
}

// throughput is what one load came to. Cores are processors kept busy: by the generator while it
// sent, by the service until all was stored.
type throughput struct {
	RowsBefore        int         `json:"rows_before"`
	Events            int         `json:"events"`
	Connections       int         `json:"connections"`
	BatchEvents       int         `json:"batch_events"`
	AcceptedPerSecond float64     `json:"accepted_per_second"`
	StoredPerSecond   float64     `json:"stored_per_second"`
	Answers           quantiles   `json:"answers"`
	Refused           map[int]int `json:"refused"` // answers that were not 2xx, by status
	GeneratorCores    float64     `json:"generator_cores"`
	ServiceCores      float64     `json:"service_cores"`
}

// footprint is the service's own resident memory, without PostgreSQL's.
type footprint struct {
	Idle int64 `json:"idle_bytes"`
	Peak int64 `json:"peak_bytes"` // VmHWM after all loads
}

// best is the raw limit: the better of the transactions' sizes.
func (f *figures) best() (best rawRate) {
	for _, r := range f.Raw {
		if r.EventsPerSecond > best.EventsPerSecond {
			best = r
		}
	}
	return best
}

// save writes the report as JSON; without a path there is nothing to do.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
