package eventjson

import (
	"strings"
	"testing"

	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestSpecialisedForms(t *testing.T) {
	longPath := "/" + strings.Repeat("a", 150)
	for name, c := range map[string]struct {
		form Form
		raw  string
		want event.Event // name, type, severity, properties, referrer, user agent
	}{
		"performance": {FormAny,
			`{"operation":"db.query","duration_ms":12.50,"memory_usage_mb":64,"cpu_percent":3e1,"success":false,"error_message":"time\u0020out"}`,
			event.Event{Name: "db.query", Type: event.OperationTiming, Severity: event.Low,
				Properties: event.Object(`{"operation":"db.query","duration_ms":12.50,"memory_usage_mb":64,"cpu_percent":3e1,"success":false,"error_message":"time\u0020out"}`)}},
		"at the threshold": {FormAny, `{"operation":"o","duration_ms":2000}`,
			event.Event{Name: "o", Type: event.OperationTiming, Severity: event.Low, Properties: event.Object(`{"operation":"o","duration_ms":2000}`)}},
		"over the threshold": {FormAny, `{"duration_ms":2000.001,"operation":"o"}`,
			event.Event{Name: "o", Type: event.OperationTiming, Severity: event.High, Properties: event.Object(`{"operation":"o","duration_ms":2000.001}`)}},
		"severity given": {FormAny, `{"operation":"o","duration_ms":9000,"severity":"medium"}`,
			event.Event{Name: "o", Type: event.OperationTiming, Severity: event.Medium, Properties: event.Object(`{"operation":"o","duration_ms":9000}`)}},
		"with properties": {FormAny, `{"operation":"o","duration_ms":1,"properties":{"a":1},"cpu_percent":null}`,
			event.Event{Name: "o", Type: event.OperationTiming, Severity: event.Low, Properties: event.Object(`{"operation":"o","duration_ms":1,"a":1}`)}},
		"with empty properties": {FormAny, `{"operation":"o","duration_ms":1,"properties":{}}`,
			event.Event{Name: "o", Type: event.OperationTiming, Severity: event.Low, Properties: event.Object(`{"operation":"o","duration_ms":1}`)}},
		"interaction": {FormAny, `{"interaction_type":"click","element":"#buy","page_path":"/cart","coordinates":{"x": 10, "y": 20.50}}`,
			event.Event{Name: "click", Type: event.UserInteraction, Severity: event.Low,
				Properties: event.Object(`{"interaction_type":"click","element":"#buy","page_path":"/cart","coordinates":{"x":10,"y":20.50}}`)}},
		"API request": {FormAny, `{"method":"GET","path":"/a?b=c","status_code":499,"duration_ms":5,"user_agent":"curl"}`,
			event.Event{Name: "GET /a", Type: event.APIRequest, Severity: event.Low, UserAgent: "curl",
				Properties: event.Object(`{"duration_ms":5,"method":"GET","path":"/a?b=c","status_code":499}`)}},
		"API error": {FormAny, `{"method":"GET","path":"/a","status_code":500}`,
			event.Event{Name: "GET /a", Type: event.APIError, Severity: event.High,
				Properties: event.Object(`{"method":"GET","path":"/a","status_code":500}`)}},
		"API error called a request": {FormAny, `{"method":"GET","path":"/a","status_code":503,"event_type":"api_request"}`,
			event.Event{Name: "GET /a", Type: event.APIRequest, Severity: event.High,
				Properties: event.Object(`{"method":"GET","path":"/a","status_code":503}`)}},
		"long path": {FormAny, `{"method":"GET","path":"` + longPath + `","status_code":200}`,
			event.Event{Name: "GET " + longPath[:96], Type: event.APIRequest, Severity: event.Low,
				Properties: event.Object(`{"method":"GET","path":"` + longPath + `","status_code":200}`)}},
		"page view": {FormAny, `{"event_type":"page_view","path":"/cart","referrer":"https://example.com/"}`,
			event.Event{Name: "page_view", Type: event.PageView, Severity: event.Low, Referrer: "https://example.com/", Properties: event.Object(`{"path":"/cart"}`)}},
		"page view at its door": {FormPageView, `{"path":"/cart"}`,
			event.Event{Name: "page_view", Type: event.PageView, Severity: event.Low, Properties: event.Object(`{"path":"/cart"}`)}},
		"interaction at its door": {FormInteraction, `{"interaction_type":"scroll"}`,
			event.Event{Name: "scroll", Type: event.UserInteraction, Severity: event.Low, Properties: event.Object(`{"interaction_type":"scroll"}`)}},
		"a card in an error message": {FormAny, `{"operation":"pay","duration_ms":1,"error_message":"card 4111 1111 1111 1111 declined"}`,
			event.Event{Name: "pay", Type: event.OperationTiming, Severity: event.Low,
				Properties: event.Object(`{"operation":"pay","duration_ms":1,"error_message":"[masked]"}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got event.Event
			if _, err := testDecoder().DecodeAs(c.form, []byte(c.raw), &got); err != nil {
				t.Fatal(err, fieldsOf(err))
			}
			if got.Name != c.want.Name || got.Type != c.want.Type || got.Severity != c.want.Severity ||
				got.Referrer != c.want.Referrer || got.UserAgent != c.want.UserAgent {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if string(got.Properties) != string(c.want.Properties) {
				t.Errorf("properties\ngot  %s\nwant %s", got.Properties, c.want.Properties)
			}
		})
	}
}

// TestFormsAgreeWithTheDomain holds the two ways into a specialised event together: the
// short form that is decoded, and the struct that other packages fill in.
func TestFormsAgreeWithTheDomain(t *testing.T) {
	duration, yes := 2500.5, true
	performance := event.Performance{Operation: "o", DurationMS: duration, Success: &yes, ErrorMessage: "m"}
	interaction := event.Interaction{InteractionType: "click", Element: "e", PagePath: "/p", Coordinates: &event.Point{X: 1, Y: 2}}
	call := event.APICall{Method: "PUT", Path: "/p?q", StatusCode: 502, UserAgent: "ua"}
	page := event.PageViewed{Path: "/p", Referrer: "r"}
	for raw, want := range map[string]event.Event{
		`{"operation":"o","duration_ms":2500.5,"success":true,"error_message":"m"}`:                    performance.Event(2000),
		`{"interaction_type":"click","element":"e","page_path":"/p","coordinates":{"x":1,"y":2}}`:      interaction.Event(),
		`{"method":"PUT","path":"/p?q","status_code":502,"user_agent":"ua"}`:                           call.Event(100),
		`{"event_type":"page_view","path":"/p","referrer":"r","timestamp":"2026-03-01T12:00:00.000Z"}`: page.Event(),
	} {
		got := decoded(t, testDecoder(), raw)
		want.Timestamp = got.Timestamp
		if g, w := string(Append(nil, &got)), string(Append(nil, &want)); g != w {
			t.Errorf("%s\ndecoded %s\nmade    %s", raw, g, w)
		}
	}
}

func TestFormsAreRefusedWhereTheyAreWrong(t *testing.T) {
	var properties []string
	for i := range 49 {
		properties = append(properties, `"k`+strings.Repeat("x", i)+`":1`)
	}
	many := strings.Join(properties, ",")
	for name, c := range map[string]struct {
		form Form
		raw  string
		want []string
	}{
		"no duration":                {FormAny, `{"operation":"o"}`, []string{"/duration_ms"}},
		"no operation":               {FormPerformance, `{"duration_ms":1}`, []string{"/operation"}},
		"duration alone":             {FormAny, `{"duration_ms":1}`, []string{"/event_name", "/duration_ms"}},
		"empty operation":            {FormAny, `{"operation":"","duration_ms":1}`, []string{"/operation"}},
		"operation too long":         {FormAny, `{"operation":"` + strings.Repeat("o", 101) + `","duration_ms":1}`, []string{"/operation"}},
		"operation much too long":    {FormAny, `{"operation":"` + strings.Repeat("o", 1001) + `","duration_ms":1}`, []string{"/operation"}},
		"wrong kinds":                {FormAny, `{"operation":1,"duration_ms":"1","memory_usage_mb":true,"cpu_percent":[],"success":"yes","error_message":{}}`, []string{"/operation", "/duration_ms", "/memory_usage_mb", "/cpu_percent", "/success", "/error_message"}},
		"below 0":                    {FormAny, `{"operation":"o","duration_ms":-1}`, []string{"/duration_ms"}},
		"duration overflows":         {FormAny, `{"operation":"o","duration_ms":1e999}`, []string{"/duration_ms"}},
		"another type":               {FormAny, `{"operation":"o","duration_ms":1,"event_type":"custom"}`, []string{"/event_type"}},
		"an unknown type":            {FormAny, `{"operation":"o","duration_ms":1,"event_type":"x"}`, []string{"/event_type"}},
		"two forms":                  {FormAny, `{"operation":"o","duration_ms":1,"interaction_type":"click"}`, []string{"/interaction_type"}},
		"field of another form":      {FormAny, `{"interaction_type":"click","path":"/"}`, []string{"/path"}},
		"property twice":             {FormAny, `{"operation":"o","duration_ms":1,"properties":{"a":1,"duration_ms":2}}`, []string{"/properties/duration_ms"}},
		"property not twice":         {FormAny, `{"operation":"o","duration_ms":1,"success":null,"properties":{"success":1,"path":2}}`, nil},
		"50 properties in all":       {FormInteraction, `{"interaction_type":"i","properties":{` + many + `}}`, nil},
		"51 properties in all":       {FormPerformance, `{"operation":"o","duration_ms":1,"properties":{` + many + `}}`, []string{"/properties"}},
		"no interaction":             {FormInteraction, `{"element":"e"}`, []string{"/interaction_type"}},
		"empty interaction":          {FormAny, `{"interaction_type":""}`, []string{"/interaction_type"}},
		"coordinates of a kind":      {FormAny, `{"interaction_type":"i","coordinates":[1,2]}`, []string{"/coordinates"}},
		"fault in coordinates":       {FormAny, `{"interaction_type":"i","coordinates":{"x":"\u0000"}}`, []string{"/coordinates/x"}},
		"method alone":               {FormAny, `{"method":"GET"}`, []string{"/path", "/status_code"}},
		"status alone":               {FormAny, `{"status_code":200}`, []string{"/method", "/path"}},
		"status out of range":        {FormAny, `{"method":"GET","path":"/","status_code":600}`, []string{"/status_code"}},
		"status of a kind":           {FormAny, `{"method":"GET","path":"/","status_code":"200"}`, []string{"/status_code"}},
		"status in parts":            {FormAny, `{"method":"GET","path":"/","status_code":200.5}`, []string{"/status_code"}},
		"no path":                    {FormPageView, `{"user_id":"u"}`, []string{"/path"}},
		"empty path":                 {FormPageView, `{"path":""}`, []string{"/path"}},
		"name at the wrong door":     {FormPageView, `{"event":"e","path":"/"}`, []string{"/event"}},
		"type at the wrong door":     {FormPageView, `{"event_type":"custom","path":"/"}`, []string{"/event_type"}},
		"operation with NUL":         {FormAny, `{"operation":"a\u0000","duration_ms":1}`, []string{"/operation"}},
		"all that is wrong, at once": {FormPageView, `{"path":5,"user_id":5,"severity":"x"}`, []string{"/path", "/user_id", "/severity"}},
	} {
		t.Run(name, func(t *testing.T) {
			var e event.Event
			_, err := testDecoder().DecodeAs(c.form, []byte(c.raw), &e)
			if len(c.want) == 0 {
				if err != nil {
					t.Errorf("%v %v", err, fieldsOf(err))
				}
				return
			}
			wantInvalid(t, err, c.want...)
		})
	}
}

func TestNothingIsSlowWithoutAThreshold(t *testing.T) {
	d := testDecoder(func(o *Options) { o.SlowMS = nil })
	if e := decoded(t, d, `{"operation":"o","duration_ms":1e300}`); e.Severity != event.Low {
		t.Errorf("severity %s", e.Severity)
	}
}
