package app

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/ingest"
	"github.com/tidemark-obs/tidemark/internal/journal"
	"github.com/tidemark-obs/tidemark/internal/settings"
)

// Config is everything that is decided before the service starts. Its YAML form is the
// configuration file; unknown keys in it are an error.
type Config struct {
	Web        Web        `yaml:"web"`
	Data       Data       `yaml:"data"`
	Database   Database   `yaml:"database"`
	Questions  Questions  `yaml:"questions"`
	Statistics Statistics `yaml:"statistics"`
	Journal    Journal    `yaml:"journal"`
	Log        Log        `yaml:"log"`
	Limits     Limits     `yaml:"limits"`
	Privacy    Privacy    `yaml:"privacy"`
	Retention  Retention  `yaml:"retention"`
	RateLimits RateLimits `yaml:"rate_limits"`
	SelfEvents SelfEvents `yaml:"self_events"`
	Telemetry  Telemetry  `yaml:"telemetry"`
	Tracking   Tracking   `yaml:"tracking"`
	Alerts     Alerts     `yaml:"alerts"`

	Notifications Notifications `yaml:"notifications"`

	file *configFile // nil = none was read
}

// Web is where and how the service listens.
type Web struct {
	ListenAddress   string   `yaml:"listen_address"`
	ShutdownTimeout Duration `yaml:"shutdown_timeout"`
	TrustedProxies  []string `yaml:"trusted_proxies"` // CIDRs whose X-Forwarded-For is believed
}

// Data is the directory of everything embedded.
type Data struct {
	Dir string `yaml:"dir"`
}

// Database is where events are kept; an empty URL means the embedded DuckDB.
type Database struct {
	URL          string   `yaml:"url"`
	URLFile      string   `yaml:"url_file"`
	QueryTimeout Duration `yaml:"query_timeout"`
	MemoryLimit  string   `yaml:"memory_limit"` // of the embedded database, as "256MB"
	Threads      int      `yaml:"threads"`      // of the embedded database; 0 = one per CPU
}

// Questions bounds what is asked about stored events.
type Questions struct {
	Concurrency int      `yaml:"concurrency"` // answered at once
	Wait        Duration `yaml:"wait"`        // for a turn, before 503
}

// Journal is where events are until the database has them; an empty URL means the embedded one.
type Journal struct {
	URL      string   `yaml:"url"`
	URLFile  string   `yaml:"url_file"`
	MaxBytes int64    `yaml:"max_bytes"`
	MinFree  int64    `yaml:"min_free_bytes"`
	MaxAge   Duration `yaml:"max_age"`
}

// Log is what is logged and how: format text or json, empty = text on a terminal.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Limits bounds requests and events.
type Limits struct {
	RequestBytes  int64 `yaml:"request_bytes"`
	EventBytes    int   `yaml:"event_bytes"`
	Keys          int   `yaml:"keys"`
	KeyLength     int   `yaml:"key_length"`
	StringLength  int   `yaml:"string_length"`
	Depth         int   `yaml:"depth"`
	Tags          int   `yaml:"tags"`
	TagLength     int   `yaml:"tag_length"`
	ContextLength int   `yaml:"context_length"`

	FutureSkew Duration `yaml:"future_skew"` // how far ahead a timestamp may lie; 0 = any time
	Future     string   `yaml:"future"`      // what becomes of others: clamp or refuse
}

// What becomes of an event whose timestamp lies too far ahead.
const (
	clamp  = "clamp"
	refuse = "refuse"
)

// Privacy is what never gets written.
type Privacy struct {
	SensitiveKeys []string `yaml:"sensitive_keys"`
	KeepFullIP    bool     `yaml:"keep_full_ip"`
}

// RateLimits bounds requests per second; 0 = unbounded.
type RateLimits struct {
	PerKey     Rate `yaml:"per_key"`
	PerAddress Rate `yaml:"per_address"`
	FailedAuth Rate `yaml:"failed_auth"`
}

// Rate is a token bucket.
type Rate struct {
	PerSecond float64 `yaml:"per_second"`
	Burst     int     `yaml:"burst"`
}

// SelfEvents are the shares (0 to 1) of the service's own requests that become events.
type SelfEvents struct {
	Reads  float64 `yaml:"reads"`
	Writes float64 `yaml:"writes"`
	Errors float64 `yaml:"errors"`
}

// Telemetry is what others see of the service; where it goes is said by the OTEL_* variables.
type Telemetry struct {
	TraceSampleRatio float64 `yaml:"trace_sample_ratio"`
	TrustParents     bool    `yaml:"trust_parents"`
	ExportEvents     bool    `yaml:"export_events"`
}

// Tracking is what the run-time settings are until POST /api/analytics/config changes them.
type Tracking struct {
	Enabled        bool               `yaml:"enabled"`
	DebugMode      bool               `yaml:"debug_mode"`
	ConsoleLogging bool               `yaml:"console_logging"`
	BufferSize     int                `yaml:"buffer_size"`
	FlushInterval  Duration           `yaml:"flush_interval"`
	SampleRates    map[string]float64 `yaml:"sample_rates"`
	Thresholds     Thresholds         `yaml:"thresholds"`
}

// Thresholds are what counts as too slow or too full.
type Thresholds struct {
	SlowRequestMS     float64 `yaml:"slow_request_ms"`
	HighMemoryPercent float64 `yaml:"high_memory_percent"`
	HighCPUPercent    float64 `yaml:"high_cpu_percent"`
	HighDiskPercent   float64 `yaml:"high_disk_percent"`
}

// Default returns the configuration of a service that nobody configured.
func Default() Config {
	l, s := event.DefaultLimits(), settings.Defaults()
	return Config{
		Web:        Web{ListenAddress: "127.0.0.1:8080", ShutdownTimeout: Duration(30 * time.Second)},
		Data:       Data{Dir: "./data"},
		Database:   Database{QueryTimeout: Duration(30 * time.Second), MemoryLimit: "192MB"},
		Questions:  Questions{Concurrency: 2, Wait: Duration(5 * time.Second)},
		Statistics: defaultStatistics(),
		Journal:    Journal{MaxBytes: 4 << 30, MinFree: 64 << 20, MaxAge: Duration(7 * 24 * time.Hour)},
		Log:        Log{Level: "info"},
		Limits: Limits{
			RequestBytes: 1 << 20, EventBytes: l.EventBytes, Keys: l.Keys, KeyLength: l.KeyLength,
			StringLength: l.StringLength, Depth: l.Depth, Tags: l.Tags, TagLength: l.TagLength, ContextLength: l.ContextLength,
			FutureSkew: Duration(10 * time.Minute), Future: clamp,
		},
		Privacy:    Privacy{SensitiveKeys: eventjson.DefaultSensitive()},
		Retention:  defaultRetention(),
		Telemetry:  Telemetry{TraceSampleRatio: 0.01, ExportEvents: true},
		RateLimits: RateLimits{FailedAuth: Rate{PerSecond: 10, Burst: 50}},
		Tracking: Tracking{
			Enabled: s.Enabled, BufferSize: s.BufferSize, FlushInterval: Duration(s.FlushInterval),
			Thresholds: Thresholds(s.Thresholds),
		},
		Alerts:        defaultAlerts(),
		Notifications: defaultNotifications(),
	}
}

// faults are all values that cannot be, each with its key. It reads the URL files.
func (c *Config) faults() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	if err := fromFile(&c.Database.URL, c.Database.URLFile); err != nil {
		bad("database.url_file", "%v", err)
	}
	if err := fromFile(&c.Journal.URL, c.Journal.URLFile); err != nil {
		bad("journal.url_file", "%v", err)
	}
	if _, port, err := net.SplitHostPort(c.Web.ListenAddress); err != nil {
		bad("web.listen_address", "wants host:port, as 127.0.0.1:8080")
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		bad("web.listen_address", "wants a port from 0 to 65535")
	}
	if u := c.Database.URL; u != "" && !strings.HasPrefix(u, "postgres://") && !strings.HasPrefix(u, "postgresql://") {
		bad("database.url", "wants postgres://user@host/name, or nothing for the embedded database")
	}
	if u := c.Journal.URL; u != "" && !strings.HasPrefix(u, "nats://") && !strings.HasPrefix(u, "tls://") {
		bad("journal.url", "wants nats://host:4222, or nothing for the embedded journal")
	}
	if _, err := c.Web.proxies(); err != nil {
		bad("web.trusted_proxies", "%v", err)
	}
	if !memorySize.MatchString(c.Database.MemoryLimit) {
		bad("database.memory_limit", "wants a size as 192MB or 1GiB")
	}
	if c.Data.Dir == "" {
		bad("data.dir", "must name a directory")
	}
	if _, err := parseLevel(c.Log.Level); err != nil {
		bad("log.level", "wants debug, info, warn or error")
	}
	if f := c.Log.Format; f != "" && f != "text" && f != "json" {
		bad("log.format", "wants text or json")
	}
	if f := c.Limits.Future; f != clamp && f != refuse {
		bad("limits.future", "wants clamp or refuse")
	}
	if c.Limits.FutureSkew < 0 {
		bad("limits.future_skew", "must not be below 0")
	}
	c.checkNumbers(bad)
	if _, err := c.Statistics.declared(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.checkTracking())
	if a := c.alertConfig(); c.Alerts.Enabled {
		errs = append(errs, a.Check())
	}
	if _, err := c.Notifications.config(c.externalURL()); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkTracking has the keys of the run-time settings' faults, which are named as JSON is there.
func (c *Config) checkTracking() error {
	err := c.settings().Validate()
	var invalid *errs.Error
	if !errors.As(err, &invalid) {
		return err
	}
	var all []error
	for _, f := range invalid.Fields {
		all = append(all, fmt.Errorf("tracking%s: %s", strings.ReplaceAll(f.Location, "/", "."), f.Message))
	}
	return errors.Join(all...)
}

// memorySize is what the embedded database takes for one.
var memorySize = regexp.MustCompile(`(?i)^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$`)

// maxThreads is more than any machine has use for; each takes memory, and they all start at once.
const maxThreads = 1024

// checkNumbers reports numbers that are out of their range.
func (c *Config) checkNumbers(bad func(key, format string, args ...any)) {
	for key, n := range c.positive() {
		if n <= 0 {
			bad(key, "must be above 0")
		}
	}
	if n := c.Journal.MaxBytes; n > 0 && n < journal.LeastMaxBytes {
		bad("journal.max_bytes", "must be at least %d", journal.LeastMaxBytes)
	}
	if n := c.Database.Threads; n < 0 || n > maxThreads {
		bad("database.threads", "must be between 0 and %d", maxThreads)
	}
	for key, r := range map[string]Rate{"per_key": c.RateLimits.PerKey, "per_address": c.RateLimits.PerAddress, "failed_auth": c.RateLimits.FailedAuth} {
		if r != (Rate{}) && (!(r.PerSecond > 0) || math.IsInf(r.PerSecond, 0) || r.Burst < 1) {
			bad("rate_limits."+key, "wants per_second above 0 and a burst of at least 1, or 0 for both")
		}
	}
	for key, rate := range map[string]float64{"reads": c.SelfEvents.Reads, "writes": c.SelfEvents.Writes, "errors": c.SelfEvents.Errors} {
		if !(rate >= 0 && rate <= 1) {
			bad("self_events."+key, "must be between 0 and 1")
		}
	}
	if r := c.Telemetry.TraceSampleRatio; !(r >= 0 && r <= 1) {
		bad("telemetry.trace_sample_ratio", "must be between 0 and 1")
	}
	for key, n := range map[string]int64{"events": int64(c.Retention.Events), "minute": int64(c.Retention.Minute),
		"hour": int64(c.Retention.Hour), "day": int64(c.Retention.Day), "max_bytes": c.Retention.MaxBytes, "compaction": int64(c.Retention.Compaction)} {
		if n < 0 {
			bad("retention."+key, "must not be below 0")
		}
	}
}

// externalURL is where people find the service.
func (c *Config) externalURL() string {
	if u := c.Alerts.ExternalURL; u != "" {
		return strings.TrimRight(u, "/")
	}
	return "http://" + c.Web.ListenAddress
}

func (c *Config) positive() map[string]int64 {
	return map[string]int64{
		"web.shutdown_timeout":   int64(c.Web.ShutdownTimeout),
		"database.query_timeout": int64(c.Database.QueryTimeout),
		"questions.concurrency":  int64(c.Questions.Concurrency),
		"questions.wait":         int64(c.Questions.Wait),
		"journal.max_bytes":      c.Journal.MaxBytes,
		"journal.max_age":        int64(c.Journal.MaxAge),
		"limits.request_bytes":   c.Limits.RequestBytes,
		"limits.event_bytes":     int64(c.Limits.EventBytes),
		"limits.keys":            int64(c.Limits.Keys),
		"limits.key_length":      int64(c.Limits.KeyLength),
		"limits.string_length":   int64(c.Limits.StringLength),
		"limits.depth":           int64(c.Limits.Depth),
		"limits.tags":            int64(c.Limits.Tags),
		"limits.tag_length":      int64(c.Limits.TagLength),
		"limits.context_length":  int64(c.Limits.ContextLength),
	}
}

func (w *Web) proxies() ([]netip.Prefix, error) {
	all := make([]netip.Prefix, len(w.TrustedProxies))
	for i, text := range w.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("entry %d is not a network as 10.0.0.0/8", i)
		}
		all[i] = p
	}
	return all, nil
}

func fromFile(to *string, path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	*to = strings.TrimSpace(string(b))
	return nil
}

func (c *Config) settings() settings.Settings {
	t := c.Tracking
	return settings.Settings{
		Enabled: t.Enabled, DebugMode: t.DebugMode, ConsoleLogging: t.ConsoleLogging,
		BufferSize: t.BufferSize, FlushInterval: time.Duration(t.FlushInterval), SampleRates: t.SampleRates,
		Thresholds: settings.Thresholds(t.Thresholds),
	}
}

func (c *Config) eventLimits() event.Limits {
	l := event.DefaultLimits() // names and ids keep the contract's lengths: the columns' and labels' bound
	l.EventBytes, l.Keys, l.KeyLength, l.StringLength = c.Limits.EventBytes, c.Limits.Keys, c.Limits.KeyLength, c.Limits.StringLength
	l.Depth, l.Tags, l.TagLength, l.ContextLength = c.Limits.Depth, c.Limits.Tags, c.Limits.TagLength, c.Limits.ContextLength
	l.FutureSkew, l.RefuseFuture = time.Duration(c.Limits.FutureSkew), c.Limits.Future == refuse
	return l
}

// bounds are those of one storing transaction. PostgreSQL gains a third from 10,000 to 20,000
// events; DuckDB gains nothing and shares this process's memory.
func (c *Config) bounds() ingest.Bounds {
	if c.Database.URL == "" {
		return ingest.Bounds{Events: 10_000, Bytes: 8 << 20}
	}
	return ingest.Bounds{Events: 20_000, Bytes: 16 << 20}
}

// HeapLimit is the size in bytes that Go's heap should keep to, so that the whole process stays
// below 600 MB under full load: the embedded database has its own memory beside it.
func (c *Config) HeapLimit() int64 {
	if c.Database.URL == "" {
		return 224 << 20
	}
	return 400 << 20
}
