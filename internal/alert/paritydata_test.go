package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// series is one series with its samples, in the order of time.
type series struct {
	labels labels.Labels
	points []point
}

// point is a sample: a number, or a histogram of either kind.
type point struct {
	t     int64
	v     float64
	whole *histogram.Histogram
	float *histogram.FloatHistogram
}

// each makes a series with a point every second for which f has one.
func each(start time.Time, length time.Duration, name string, f func(i int) (point, bool), pairs ...string) series {
	s := series{labels: labels.FromStrings(append([]string{"__name__", name, "job", "parity"}, pairs...)...)}
	for i := range int(length / time.Second) {
		if p, ok := f(i); ok {
			p.t = start.Add(time.Duration(i) * time.Second).UnixMilli()
			s.points = append(s.points, p)
		}
	}
	return s
}

// number is a point that is always there.
func number(f func(i int) float64) func(int) (point, bool) {
	return func(i int) (point, bool) { return point{v: f(i)}, true }
}

// paritySamples are all samples of the comparison: made for the rules of testdata, and for the
// names that other files ask for.
func paritySamples(t *testing.T, files []string, start time.Time, length time.Duration) []series {
	t.Helper()
	within := func(i, from, to int) float64 {
		if i >= from && i < to {
			return 12 + float64(i)/10
		}
		return 3
	}
	one := func(name string, f func(i int) (point, bool), pairs ...string) series {
		return each(start, length, name, f, pairs...)
	}
	all := []series{
		one("gauge", number(func(i int) float64 { return within(i, 3, 22) }), "inst", "long"),
		one("gauge", number(func(i int) float64 { return within(i, 6, 8) }), "inst", "short"),
		one("gauge", number(func(i int) float64 { return max(within(i, 5, 8), within(i, 10, 25)) }), "inst", "twice"),
		one("gauge", func(i int) (point, bool) {
			if i == 14 {
				return point{v: math.Float64frombits(value.StaleNaN)}, true
			}
			return point{v: within(i, 4, 30)}, i < 14 || i > 24
		}, "inst", "stale"),
		one("gauge", func(i int) (point, bool) { return point{v: within(i, 4, 30)}, i < 12 }, "inst", "ends"),
		one("requests_total", number(func(i int) float64 { return float64(10 * i) }), "code", "200"),
		one("requests_total", number(func(i int) float64 { return float64((i % 17) * (i % 17)) }), "code", "500"),
		one("odd", number(func(i int) float64 {
			return []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -1e-300, math.MaxFloat64, 5e-324}[i/3%7]
		})),
		one("native_seconds", func(i int) (point, bool) {
			return point{whole: tsdbutil.GenerateTestHistogram(int64(1 + i%20))}, i%11 != 10
		}, "inst", "a"),
		one("native_seconds", func(i int) (point, bool) { return point{whole: tsdbutil.GenerateTestHistogram(int64(2 * i))}, true }, "inst", "b"),
		one("float_seconds", func(i int) (point, bool) { return point{float: tsdbutil.GenerateTestFloatHistogram(int64(i))}, true }),
		one("custom_seconds", func(i int) (point, bool) {
			return point{whole: tsdbutil.GenerateTestCustomBucketsHistogram(int64(i))}, true
		}),
	}
	for k, le := range []string{"0.1", "1.0", "10.0", "+Inf"} {
		all = append(all, one("latency_seconds_bucket", number(func(i int) float64 { return float64(i * (k + 1)) }), "le", le))
	}
	return append(all, shippedSamples(t, files, start, length)...)
}

// shippedSamples makes two instances of every series that the shipped rules ask for, with values
// that follow from its labels and go up and down.
func shippedSamples(t *testing.T, files []string, start time.Time, length time.Duration) []series {
	t.Helper()
	set, err := ReadRuleFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	wanted := make(map[string]labels.Labels)
	for file, groups := range set.groups {
		if !strings.Contains(file, "tidemark.rules") {
			continue
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				expr, err := set.parser.ParseExpr(r.Expr)
				if err != nil {
					t.Fatal(err)
				}
				parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
					if v, ok := n.(*parser.VectorSelector); ok && !strings.Contains(v.Name, ":") {
						for _, l := range variants(v) {
							wanted[l.String()] = l
						}
					}
					return nil
				})
			}
		}
	}
	var all []series
	for _, l := range wanted {
		h := fnv.New64a()
		_, _ = io.WriteString(h, l.String())
		seed := int(h.Sum64() % 7)
		s := series{labels: l}
		name := l.Get("__name__")
		for i := range int(length / time.Second) {
			v := float64((i+seed)/6%2) * 1.1
			if strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_bucket") {
				v = float64(i * (seed + 1))
			}
			s.points = append(s.points, point{t: start.Add(time.Duration(i) * time.Second).UnixMilli(), v: v})
		}
		all = append(all, s)
	}
	return all
}

// variants are the series that a selector of the shipped rules may mean.
func variants(v *parser.VectorSelector) []labels.Labels {
	name := v.Name
	if name == "" { // a selector of any name
		name = "any"
	}
	b := labels.NewBuilder(labels.FromStrings("__name__", name, "job", "tidemark"))
	for _, m := range v.LabelMatchers {
		if m.Type == labels.MatchEqual {
			b.Set(m.Name, m.Value)
		}
	}
	choices := [][]string{{"instance", "one:1", "two:2"}}
	if strings.HasPrefix(v.Name, "http_server_request") {
		choices = append(choices, []string{"http_route", "/api/x"}, []string{"http_request_method", "GET"},
			[]string{"http_response_status_code", "200", "503"})
	}
	if strings.HasSuffix(v.Name, "_bucket") {
		choices = append(choices, []string{"le", "0.5", "1.0", "2.5", "+Inf"})
	}
	out := []labels.Labels{b.Labels()}
	for _, c := range choices {
		var next []labels.Labels
		for _, l := range out {
			for _, text := range c[1:] {
				next = append(next, labels.NewBuilder(l).Set(c[0], text).Labels())
			}
		}
		out = next
	}
	return out
}

// push sends samples to Prometheus by remote write.
func (p *real) push(t *testing.T, all []series) error {
	t.Helper()
	request := &prompb.WriteRequest{}
	for _, s := range all {
		out := prompb.TimeSeries{Labels: prompb.FromLabels(s.labels, nil)}
		for _, pt := range s.points {
			switch {
			case pt.whole != nil:
				out.Histograms = append(out.Histograms, prompb.FromIntHistogram(pt.t, pt.whole))
			case pt.float != nil:
				out.Histograms = append(out.Histograms, prompb.FromFloatHistogram(pt.t, pt.float))
			default:
				out.Samples = append(out.Samples, prompb.Sample{Timestamp: pt.t, Value: pt.v})
			}
		}
		request.Timeseries = append(request.Timeseries, out)
	}
	body, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.base+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode/100 != 2 {
		return fmt.Errorf("remote write: %s %s %w", res.Status, text, err)
	}
	return nil
}

// push puts the same samples in the evaluator's store.
func (o *own) push(t *testing.T, all []series) error {
	t.Helper()
	app := o.engine.Load().db.Appender(context.Background())
	var faults []error
	for _, s := range all {
		for _, p := range s.points {
			var err error
			if p.whole != nil || p.float != nil {
				_, err = app.AppendHistogram(0, s.labels, p.t, p.whole, p.float)
			} else {
				_, err = app.Append(0, s.labels, p.t, p.v)
			}
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, app.Commit())...)
}

// staleText is how sampleText ends for the marker of a series that ended.
const staleText = "=stale"

// sampleText is a sample with all its bits.
func sampleText(it chunkenc.Iterator, kind chunkenc.ValueType) string {
	switch kind {
	case chunkenc.ValFloat:
		at, v := it.At()
		if value.IsStaleNaN(v) {
			return fmt.Sprintf("%d%s", at, staleText)
		}
		return fmt.Sprintf("%d=%v(%x)", at, v, math.Float64bits(v))
	default:
		at, h := it.AtFloatHistogram(nil)
		if value.IsStaleNaN(h.Sum) {
			return fmt.Sprintf("%d%s", at, staleText)
		}
		return fmt.Sprintf("%d={%v %d %v %v %x}", at, h, h.Schema, h.CounterResetHint, slices.Concat(h.PositiveBuckets, h.NegativeBuckets), math.Float64bits(h.Sum))
	}
}
