package declared

import (
	"slices"
	"strings"
	"testing"
)

// shop is a declaration without faults.
func shop() Config {
	return Config{
		Dimensions: []DimensionConfig{
			{Property: "plan", Known: []string{"free", "pro"}, Values: 5},
			{Property: "properties.cart.country", Events: []string{"purchase", "refund"}, Values: 50},
			{Property: "metadata.job", Label: "worker", Values: 5},
		},
		Numbers: []NumberConfig{{Property: "amount", Events: []string{"purchase"}}, {Property: "cart.items"}},
		Metrics: []MetricConfig{
			{Event: "purchase", Labels: []string{"plan", "properties.plan2"}[:1]},
			{Event: "purchase", Histogram: "amount", Unit: "euros", Labels: []string{"cart.country"}},
		},
	}
}

func TestADeclarationIsCompleted(t *testing.T) {
	s, err := New(shop(), "statistics")
	if err != nil {
		t.Fatal(err)
	}
	d, m := s.Dimensions(), s.Metrics()
	if got := []string{d[0].Label, d[1].Label, d[2].Label, d[1].Field.String()}; !slices.Equal(got, []string{"plan", "cart_country", "worker", "properties.cart.country"}) {
		t.Errorf("labels and field %q", got)
	}
	if m[0].Name != "tidemark_event_purchase_total" || m[1].Name != "tidemark_event_purchase_amount_euros" {
		t.Errorf("names %s and %s", m[0].Name, m[1].Name)
	}
	if !slices.Equal(m[1].Buckets, DefaultBuckets()) || m[0].Number >= 0 || m[1].Number != 0 {
		t.Errorf("a histogram %+v, a counter %+v", m[1], m[0])
	}
	if n := s.Series(&m[0]); n != 7 {
		t.Errorf("%d series of a label with 5 values, other and none", n)
	}
	if n, want := s.Series(&m[1]), 52*(len(DefaultBuckets())+3); n != want {
		t.Errorf("%d series of a histogram, want %d", n, want)
	}
	if !d[1].Covers("refund") || d[1].Covers("") || d[1].Covers("visit") || !d[0].Covers("") {
		t.Error("a dimension covers other events than it names")
	}
	var none *Set
	if none.Dimensions() != nil || none.Numbers() != nil || none.Metrics() != nil {
		t.Error("no declaration declares something")
	}
}

func TestNamesAreMadeOfWhatEventsAreCalled(t *testing.T) {
	for event, want := range map[string]string{
		"purchase":         "tidemark_event_purchase_total",
		"Order Completed":  "tidemark_event_order_completed_total",
		"orderCompleted":   "tidemark_event_order_completed_total",
		"api.v2/call":      "tidemark_event_api_v2_call_total",
		"__weird--name__":  "tidemark_event_weird_name_total",
		"cart_total":       "tidemark_event_cart_total",
		"größe":            "tidemark_event_gr_e_total",
		"HTTPServer error": "tidemark_event_httpserver_error_total",
	} {
		s, err := New(Config{Metrics: []MetricConfig{{Event: event}}}, "s")
		if err != nil {
			t.Errorf("%s: %v", event, err)
			continue
		}
		if got := s.Metrics()[0].Name; got != want {
			t.Errorf("%s becomes %s, want %s", event, got, want)
		}
	}
}

// spoiling makes a declaration invalid, and says how its error begins.
type spoiling struct {
	want   string
	change func(*Config)
}

func spoilings() []spoiling {
	long := strings.Repeat("x", 101)
	return []spoiling{
		{"s.dimensions: may have", func(c *Config) { c.Dimensions = make([]DimensionConfig, MaxDimensions+1) }},
		{"s.numbers: may have", func(c *Config) { c.Numbers = make([]NumberConfig, MaxNumbers+1) }},
		{"s.metrics: may have", func(c *Config) { c.Metrics = make([]MetricConfig, MaxMetrics+1) }},
		{"s.dimensions[0].property: is missing", func(c *Config) { c.Dimensions[0].Property = "" }},
		{"s.dimensions[0].property: has an empty part", func(c *Config) { c.Dimensions[0].Property = "a..b" }},
		{"s.dimensions[1].property: is a dimension already", func(c *Config) { c.Dimensions[1].Property = "plan" }},
		{"s.dimensions[0].events[1]: must be the name", func(c *Config) { c.Dimensions[0].Events = []string{"a", long} }},
		{"s.dimensions[0].events: may have", func(c *Config) { c.Dimensions[0].Events = make([]string, MaxEvents+1) }},
		{"s.dimensions[0].values: must be", func(c *Config) { c.Dimensions[0].Values = -1 }},
		{"s.dimensions[0].values: must be", func(c *Config) { c.Dimensions[0].Values = MaxValues + 1 }},
		{"s.dimensions[0].known: has more", func(c *Config) { c.Dimensions[0].Values = 1 }},
		{"s.dimensions[0].known: entry 1 is there", func(c *Config) { c.Dimensions[0].Known = []string{"a", "a"} }},
		{"s.dimensions[0].known: entry 0 must be", func(c *Config) { c.Dimensions[0].Known = []string{Other} }},
		{"s.dimensions[0].known: entry 0 must be", func(c *Config) { c.Dimensions[0].Known = []string{long} }},
		{"s.dimensions[2].label: job is reserved", func(c *Config) { c.Dimensions[2] = DimensionConfig{Property: "job"} }},
		{"s.dimensions[0].label: le is reserved", func(c *Config) { c.Dimensions[0].Label = "le" }},
		{"s.dimensions[0].label: __x is reserved", func(c *Config) { c.Dimensions[0].Label = "__x" }},
		{"s.dimensions[0].label: must have letters", func(c *Config) { c.Dimensions[0].Label = "a-b" }},
		{"s.dimensions[0].label: is needed", func(c *Config) { c.Dimensions[0].Property = "größe"[2:4] }},
		{"s.numbers[1].property: is a number already", func(c *Config) { c.Numbers[1].Property = "properties.amount" }},
		{"s.metrics[0].event: must be the name", func(c *Config) { c.Metrics[0].Event = "" }},
		{"s.metrics[0].labels[0]: is not among", func(c *Config) { c.Metrics[0].Labels = []string{"country"} }},
		{"s.metrics[0].labels[0]: is a dimension that this event", func(c *Config) { c.Metrics[0] = MetricConfig{Event: "visit", Labels: []string{"cart.country"}} }},
		{"s.metrics[0].labels[1]: has the label plan", func(c *Config) { c.Metrics[0].Labels = []string{"plan", "properties.plan"} }},
		{"s.metrics[0].labels: may have", func(c *Config) { c.Metrics[0].Labels = make([]string, MaxLabels+1) }},
		{"s.metrics[0].buckets: are for", func(c *Config) { c.Metrics[0].Buckets = []float64{1} }},
		{"s.metrics[0].unit: is for", func(c *Config) { c.Metrics[0].Unit = "seconds" }},
		{"s.metrics[0].help: must have", func(c *Config) { c.Metrics[0].Help = strings.Repeat("x", 201) }},
		{"s.metrics[0].name: of a counter must end", func(c *Config) { c.Metrics[0].Name = "purchases" }},
		{"s.metrics[0].name: must have letters", func(c *Config) { c.Metrics[0].Name = "a:b_total" }},
		{"s.metrics[0].name: must have letters", func(c *Config) { c.Metrics[0].Name = strings.Repeat("x", 200) + "_total" }},
		{"s.metrics[0].name: is needed", func(c *Config) { c.Metrics[0].Event = "購入" }},
		{"s.metrics[0].name: begins as", func(c *Config) { c.Metrics[0].Name = "tidemark_events_total" }},
		{"s.metrics[0].name: begins as", func(c *Config) { c.Metrics[0].Name = "go_total" }},
		{"s.metrics[0].name: must not end", func(c *Config) { c.Metrics[0].Name = "purchase_total_total" }},
		{"s.metrics[1].name: purchase is that", func(c *Config) { c.Metrics[0].Name, c.Metrics[1].Name = "purchase_count_total", "purchase" }},
		{"s.metrics[1].name: must not end", func(c *Config) { c.Metrics[1].Name = "purchase_bucket" }},
		{"s.metrics[1].name: must not end", func(c *Config) { c.Metrics[1].Name = "purchase_total" }},
		{"s.metrics[1].name: purchase is that", func(c *Config) { c.Metrics[0].Name, c.Metrics[1].Name = "purchase_total", "purchase" }},
		{"s.metrics[1].histogram: is not among", func(c *Config) { c.Metrics[1].Histogram = "price" }},
		{"s.metrics[1].histogram: is a number that this event", func(c *Config) { c.Metrics[1].Event = "refund" }},
		{"s.metrics[1].unit: must be", func(c *Config) { c.Metrics[1].Unit = "€" }},
		{"s.metrics[1].buckets: entry 1 must be above", func(c *Config) { c.Metrics[1].Buckets = []float64{1, 1} }},
		{"s.metrics[1].buckets: may have", func(c *Config) { c.Metrics[1].Buckets = make([]float64, MaxBuckets+1) }},
		{"s.metrics[1]: may have", func(c *Config) {
			c.Dimensions[0].Values, c.Dimensions[1].Values = 1000, 1000
			c.Metrics[1].Labels = []string{"plan", "cart.country"}
		}},
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for _, tt := range spoilings() {
		c := shop()
		tt.change(&c)
		_, err := New(c, "s")
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+tt.want) {
			t.Errorf("error %v, want one that begins with %q", err, tt.want)
		}
	}
}

// TestKeys changes what makes the same numbers mean something else, and what does not.
func TestKeys(t *testing.T) {
	key := func(change func(*Config)) string {
		c := shop()
		change(&c)
		s, err := New(c, "s")
		if err != nil {
			t.Fatal(err)
		}
		return s.Metrics()[1].Key
	}
	was := key(func(*Config) {})
	for name, change := range map[string]func(*Config){
		"labels":  func(c *Config) { c.Metrics[1].Labels = nil },
		"buckets": func(c *Config) { c.Metrics[1].Buckets = []float64{1} },
		"number": func(c *Config) {
			c.Metrics[1].Histogram, c.Metrics[1].Name = "cart.items", "tidemark_event_purchase_amount_euros"
		},
		"name":  func(c *Config) { c.Metrics[1].Name = "revenue_euros" },
		"label": func(c *Config) { c.Dimensions[1].Label = "country" },
	} {
		if key(change) == was {
			t.Errorf("other %s, and the same key", name)
		}
	}
	for name, change := range map[string]func(*Config){
		"help":   func(c *Config) { c.Metrics[1].Help = "Revenue." },
		"budget": func(c *Config) { c.Dimensions[1].Values = 40 },
		"order":  func(c *Config) { c.Dimensions[0], c.Dimensions[1] = c.Dimensions[1], c.Dimensions[0] },
	} {
		if key(change) != was {
			t.Errorf("another %s, and another key", name)
		}
	}
}
