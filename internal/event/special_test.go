package event

import (
	"math"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

func TestSpecialisedEvents(t *testing.T) {
	long := "/" + strings.Repeat("ä", 200)
	for name, c := range map[string]struct {
		got  Event
		want Event
	}{
		"performance": {
			(&Performance{Operation: "db.query", DurationMS: 12.5, MemoryUsageMB: ptr(64.0), CPUPercent: ptr(3.25),
				Success: ptr(false), ErrorMessage: `a "quoted" <reason>`}).Event(2000),
			Event{Name: "db.query", Type: OperationTiming, Severity: Low,
				Properties: Object(`{"operation":"db.query","duration_ms":12.5,"memory_usage_mb":64,"cpu_percent":3.25,"success":false,"error_message":"a \"quoted\" <reason>"}`)},
		},
		"as slow as allowed": {
			(&Performance{Operation: "o", DurationMS: 2000}).Event(2000),
			Event{Name: "o", Type: OperationTiming, Severity: Low, Properties: Object(`{"operation":"o","duration_ms":2000}`)},
		},
		"too slow": {
			(&Performance{Operation: "o", DurationMS: 2000.5}).Event(2000),
			Event{Name: "o", Type: OperationTiming, Severity: High, Properties: Object(`{"operation":"o","duration_ms":2000.5}`)},
		},
		"no number": {
			(&Performance{Operation: "o", DurationMS: math.Inf(1)}).Event(2000),
			Event{Name: "o", Type: OperationTiming, Severity: High, Properties: Object(`{"operation":"o"}`)},
		},
		"interaction": {
			(&Interaction{InteractionType: "click", Element: "#buy", PagePath: "/cart", Coordinates: &Point{X: 10, Y: 20.5}}).Event(),
			Event{Name: "click", Type: UserInteraction, Severity: Low,
				Properties: Object(`{"interaction_type":"click","element":"#buy","page_path":"/cart","coordinates":{"x":10,"y":20.5}}`)},
		},
		"page view": {
			(&PageViewed{Path: "/cart?x=1", Referrer: "https://example.com/"}).Event(),
			Event{Name: "page_view", Type: PageView, Severity: Low, Referrer: "https://example.com/", Properties: Object(`{"path":"/cart?x=1"}`)},
		},
		"page view of nothing": {
			(&PageViewed{}).Event(),
			Event{Name: "page_view", Type: PageView, Severity: Low, Properties: Object(`{}`)},
		},
		"API request": {
			(&APICall{Method: "GET", Path: "/a?q=1", StatusCode: 499, DurationMS: ptr(1.5), UserAgent: "curl"}).Event(100),
			Event{Name: "GET /a", Type: APIRequest, Severity: Low, UserAgent: "curl",
				Properties: Object(`{"method":"GET","path":"/a?q=1","status_code":499,"duration_ms":1.5}`)},
		},
		"API error": {
			(&APICall{Method: "POST", Path: "/a", StatusCode: 500}).Event(100),
			Event{Name: "POST /a", Type: APIError, Severity: High, Properties: Object(`{"method":"POST","path":"/a","status_code":500}`)},
		},
		"a path longer than a name": {
			(&APICall{Method: "GET", Path: long, StatusCode: 200}).Event(100),
			Event{Name: "GET /" + strings.Repeat("ä", 95), Type: APIRequest, Severity: Low,
				Properties: Object(`{"method":"GET","path":"` + long + `","status_code":200}`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got.SampleRate != 1 {
				t.Errorf("sample rate %v", c.got.SampleRate)
			}
			if c.got.Name != c.want.Name || c.got.Type != c.want.Type || c.got.Severity != c.want.Severity ||
				c.got.UserAgent != c.want.UserAgent || c.got.Referrer != c.want.Referrer {
				t.Errorf("got  %+v\nwant %+v", c.got, c.want)
			}
			if string(c.got.Properties) != string(c.want.Properties) {
				t.Errorf("properties\ngot  %s\nwant %s", c.got.Properties, c.want.Properties)
			}
			c.got.Timestamp = now
			if problems, _ := c.got.Validate(DefaultLimits(), now); len(problems) > 0 {
				t.Errorf("not a valid event: %v", problems)
			}
		})
	}
}
