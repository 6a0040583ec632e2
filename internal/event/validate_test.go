package event

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func valid() Event {
	return Event{
		ID: "id", Name: "signup", Type: Custom, Timestamp: now, Severity: Low, SampleRate: 1,
		Tags: []string{"web"}, Properties: Object(`{"plan":"pro"}`),
	}
}

func TestValidateFindsEachProblemWhereItIs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Event)
		want   []string
	}{
		"valid":                         {func(*Event) {}, nil},
		"no id yet":                     {func(e *Event) { e.ID = "" }, nil},
		"id of 100 wide characters":     {func(e *Event) { e.ID = strings.Repeat("ä", 100) }, nil},
		"id of 101 characters":          {func(e *Event) { e.ID = strings.Repeat("ä", 101) }, []string{"/event_id"}},
		"no name":                       {func(e *Event) { e.Name = "" }, []string{"/event_name"}},
		"name of 100":                   {func(e *Event) { e.Name = strings.Repeat("n", 100) }, nil},
		"name of 101":                   {func(e *Event) { e.Name = strings.Repeat("n", 101) }, []string{"/event_name"}},
		"name with NUL":                 {func(e *Event) { e.Name = "a\x00b" }, []string{"/event_name"}},
		"name not UTF-8":                {func(e *Event) { e.Name = "a\xff" }, []string{"/event_name"}},
		"unknown type":                  {func(e *Event) { e.Type = "purchase" }, []string{"/event_type"}},
		"no type":                       {func(e *Event) { e.Type = "" }, []string{"/event_type"}},
		"unknown severity":              {func(e *Event) { e.Severity = "fatal" }, []string{"/severity"}},
		"user id too long":              {func(e *Event) { e.UserID = strings.Repeat("u", 101) }, []string{"/user_id"}},
		"anonymous id too long":         {func(e *Event) { e.AnonymousID = strings.Repeat("u", 101) }, []string{"/anonymous_id"}},
		"session id too long":           {func(e *Event) { e.SessionID = strings.Repeat("u", 101) }, []string{"/session_id"}},
		"20 tags of 50":                 {func(e *Event) { e.Tags = slices.Repeat([]string{strings.Repeat("t", 50)}, 20) }, nil},
		"21 tags":                       {func(e *Event) { e.Tags = slices.Repeat([]string{"t"}, 21) }, []string{"/tags"}},
		"tags too long, empty":          {func(e *Event) { e.Tags = []string{"ok", strings.Repeat("t", 51), ""} }, []string{"/tags/1", "/tags/2"}},
		"source too long":               {func(e *Event) { e.Source = strings.Repeat("s", 1001) }, []string{"/source"}},
		"user agent too long":           {func(e *Event) { e.UserAgent = strings.Repeat("s", 1001) }, []string{"/user_agent"}},
		"referrer with NUL":             {func(e *Event) { e.Referrer = "\x00" }, []string{"/referrer"}},
		"IPv4":                          {func(e *Event) { e.IPAddress = "203.0.113.9" }, nil},
		"IPv6":                          {func(e *Event) { e.IPAddress = "2001:db8::1" }, nil},
		"no address":                    {func(e *Event) { e.IPAddress = "localhost" }, []string{"/ip_address"}},
		"address with port":             {func(e *Event) { e.IPAddress = "203.0.113.9:80" }, []string{"/ip_address"}},
		"timezone name":                 {func(e *Event) { e.Timezone = "America/Argentina/Buenos_Aires" }, nil},
		"timezone offset":               {func(e *Event) { e.Timezone = "+05:30" }, nil},
		"timezone Etc":                  {func(e *Event) { e.Timezone = "Etc/GMT-14" }, nil},
		"timezone path":                 {func(e *Event) { e.Timezone = "../../etc/passwd" }, []string{"/timezone"}},
		"timezone with blanks":          {func(e *Event) { e.Timezone = "Central European Time" }, []string{"/timezone"}},
		"timezone too long":             {func(e *Event) { e.Timezone = strings.Repeat("A", 65) }, []string{"/timezone"}},
		"no timestamp":                  {func(e *Event) { e.Timestamp = time.Time{} }, []string{"/timestamp"}},
		"1969":                          {func(e *Event) { e.Timestamp = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC) }, []string{"/timestamp"}},
		"1970":                          {func(e *Event) { e.Timestamp = time.Unix(0, 0).UTC() }, nil},
		"9999":                          {func(e *Event) { e.Timestamp = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }, nil},
		"10000":                         {func(e *Event) { e.Timestamp = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"/timestamp"}},
		"sample rate 0":                 {func(e *Event) { e.SampleRate = 0 }, []string{"/sample_rate"}},
		"sample rate 1.01":              {func(e *Event) { e.SampleRate = 1.01 }, []string{"/sample_rate"}},
		"sample rate NaN":               {func(e *Event) { e.SampleRate = math.NaN() }, []string{"/sample_rate"}},
		"sample rate without inverse":   {func(e *Event) { e.SampleRate = 5e-324 }, []string{"/sample_rate"}},
		"sample rate without variance":  {func(e *Event) { e.SampleRate = 1e-160 }, []string{"/sample_rate"}},
		"sample rate small":             {func(e *Event) { e.SampleRate = 0.001 }, nil},
		"an empty event: all its flaws": {func(e *Event) { *e = Event{} }, []string{"/event_name", "/event_type", "/severity", "/timestamp", "/sample_rate"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := valid()
			c.change(&e)
			problems, _ := e.Validate(DefaultLimits(), now)
			var got []string
			for _, p := range problems {
				got = append(got, p.Location)
				if p.Message == "" {
					t.Errorf("no message at %s", p.Location)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("problems at %v, want %v", got, c.want)
			}
		})
	}
}

func TestValidateNeverRepeatsAValue(t *testing.T) {
	const secret = "hunter2"
	e := Event{
		ID: secret + "\xff", Name: secret + "\xff", Type: secret, UserID: secret + "\x00", Severity: secret,
		AnonymousID: strings.Repeat(secret, 20), Tags: []string{secret + "\xff"}, IPAddress: secret,
		Timezone: secret + " ", Source: secret + "\x00",
	}
	problems, _ := e.Validate(DefaultLimits(), now)
	if len(problems) < 10 {
		t.Fatalf("only %d problems", len(problems))
	}
	for _, p := range problems {
		if strings.Contains(p.Location+p.Message, secret) {
			t.Errorf("%s repeats the value: %s", p.Location, p.Message)
		}
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Event)
		want   []string
	}{
		"none":                       {func(*Event) {}, nil},
		"no properties":              {func(e *Event) { e.Properties = nil }, []string{"/properties"}},
		"empty properties":           {func(e *Event) { e.Properties = Object("{}") }, []string{"/properties"}},
		"custom without tags":        {func(e *Event) { e.Tags = nil }, []string{"/tags"}},
		"page view without tags":     {func(e *Event) { e.Tags, e.Type = nil, PageView }, nil},
		"a day ahead":                {func(e *Event) { e.Timestamp = now.Add(24 * time.Hour) }, nil},
		"more than a day ahead":      {func(e *Event) { e.Timestamp = now.Add(24*time.Hour + 1) }, []string{"/timestamp"}},
		"everything there is to say": {func(e *Event) { e.Properties, e.Tags = nil, nil }, []string{"/properties", "/tags"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := valid()
			c.change(&e)
			problems, warnings := e.Validate(DefaultLimits(), now)
			if len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Location)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("warnings at %v, want %v", got, c.want)
			}
		})
	}
}

func TestValidateOfAGoodEventAllocatesNothing(t *testing.T) {
	e, l := valid(), DefaultLimits()
	if n := testing.AllocsPerRun(100, func() { e.Validate(l, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
