package eventjson

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
)

func TestDecodeNamesThePlaceOfEveryProblem(t *testing.T) {
	keys := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"k%d":%d`, i, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	long := strings.Repeat("ä", 1001)
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"no name":                {`{}`, []string{"/event_name"}},
		"null name":              {`{"event":null}`, []string{"/event_name"}},
		"empty short name":       {`{"event":""}`, []string{"/event"}},
		"empty long name":        {`{"event_name":""}`, []string{"/event_name"}},
		"both names":             {`{"event":"a","event_name":"a"}`, []string{"/event_name"}},
		"both names, reversed":   {`{"event_name":"a","event":"b"}`, []string{"/event"}},
		"name of 101":            {`{"event":"` + strings.Repeat("x", 101) + `"}`, []string{"/event"}},
		"name is a number":       {`{"event":5}`, []string{"/event"}},
		"name is an object":      {`{"event":{"a":1}}`, []string{"/event"}},
		"everything wrong":       {`{"event":1,"event_type":"x","timestamp":1,"user_id":[],"properties":[],"metadata":"m","severity":"x","tags":{},"sample_rate":"1","processed":"yes","ip_address":"x"}`, []string{"/event", "/event_type", "/timestamp", "/user_id", "/properties", "/metadata", "/severity", "/tags", "/sample_rate", "/processed", "/ip_address"}},
		"unknown field":          {`{"event":"e","plan":"pro"}`, []string{"/plan"}},
		"unknown field, null":    {`{"event":"e","userId":null}`, []string{"/userId"}},
		"unknown odd fields":     {`{"event":"e","a/b ~":1,"4111111111111111":2,"":3}`, []string{"", "", ""}},
		"field twice":            {`{"event":"e","user_id":"a","user_id":"a"}`, []string{"/user_id"}},
		"field twice, once null": {`{"event":"e","user_id":null,"user_id":"a"}`, []string{"/user_id"}},
		"twice by escape":        {`{"event":"e","\u0065vent":"e"}`, []string{"/event"}},
		"sample rate 0":          {`{"event":"e","sample_rate":0}`, []string{"/sample_rate"}},
		"sample rate 1e400":      {`{"event":"e","sample_rate":1e400}`, []string{"/sample_rate"}},
		"sample rate 1e-400":     {`{"event":"e","sample_rate":1e-400}`, []string{"/sample_rate"}},
		"tags of other kinds":    {`{"event":"e","tags":["a",1,null,"b",{}]}`, []string{"/tags/1", "/tags/2", "/tags/4"}},
		"21 tags":                {`{"event":"e","tags":[` + strings.Repeat(`"t",`, 20) + `"t"]}`, []string{"/tags"}},
		"5,000 tags":             {`{"event":"e","tags":[` + strings.Repeat(`"t",`, 4999) + `"t"]}`, []string{"/tags"}},
		"tag with NUL":           {`{"event":"e","tags":["a\u0000"]}`, []string{"/tags/0"}},
		"tag of half a pair":     {`{"event":"e","tags":["\ud800"]}`, []string{"/tags/0"}},

		"NUL in a field":             {`{"event":"e","user_id":"a\u0000"}`, []string{"/user_id"}},
		"UTF-8 in a field":           {"{\"event\":\"e\",\"user_id\":\"a\xc3\x28\"}", []string{"/user_id"}},
		"surrogate in a field":       {`{"event":"e","user_id":"\ude00\ud83d"}`, []string{"/user_id"}},
		"NUL in a value":             {`{"event":"e","properties":{"a":{"b":["x","\u0000"]}}}`, []string{"/properties/a/b/1"}},
		"UTF-8 in a value":           {"{\"event\":\"e\",\"metadata\":{\"a\":\"\xed\xa0\x80\"}}", []string{"/metadata/a"}},
		"lone high surrogate":        {`{"event":"e","properties":{"a":"\ud83d"}}`, []string{"/properties/a"}},
		"lone low surrogate":         {`{"event":"e","properties":{"a":"\ude00"}}`, []string{"/properties/a"}},
		"high surrogate and letter":  {`{"event":"e","properties":{"a":"\ud83dx\ude00"}}`, []string{"/properties/a"}},
		"NUL in a name":              {`{"event":"e","properties":{"a":{"b\u0000":1}}}`, []string{"/properties/a"}},
		"UTF-8 in a name":            {"{\"event\":\"e\",\"properties\":{\"a\":{\"\xff\":1}}}", []string{"/properties/a"}},
		"surrogate in a name":        {`{"event":"e","properties":{"\ud800":1}}`, []string{"/properties"}},
		"fault under an odd name":    {`{"event":"e","properties":{"a":{"x\u0001":{"c":"\u0000"}}}}`, []string{"/properties/a"}},
		"fault under a name with /":  {`{"event":"e","properties":{"a/b~c":"\u0000"}}`, []string{"/properties/a~1b~0c"}},
		"fault under a wide name":    {`{"event":"e","properties":{"größe":"\u0000"}}`, []string{"/properties/größe"}},
		"fault under an empty name":  {`{"event":"e","properties":{"":"\u0000"}}`, []string{"/properties/"}},
		"duplicate name":             {`{"event":"e","properties":{"a":1,"b":2,"a":3}}`, []string{"/properties/a"}},
		"duplicate by escape":        {`{"event":"e","properties":{"a":1,"\u0061":3}}`, []string{"/properties/a"}},
		"duplicate deep down":        {`{"event":"e","metadata":{"l":[0,{"x":{},"x":{}}]}}`, []string{"/metadata/l/1/x"}},
		"three of a kind":            {`{"event":"e","properties":{"a":1,"a":2,"a":3}}`, []string{"/properties/a", "/properties/a"}},
		"duplicate among many":       {`{"event":"e","properties":` + strings.Replace(keys(40), `"k33"`, `"k7"`, 1) + `}`, []string{"/properties/k7"}},
		"same name in two objects":   {`{"event":"e","properties":{"a":{"x":1},"b":{"x":1},"x":1},"metadata":{"x":1}}`, nil},
		"1e400":                      {`{"event":"e","properties":{"n":1e400}}`, []string{"/properties/n"}},
		"-1E+400":                    {`{"event":"e","properties":{"n":[-1E+400]}}`, []string{"/properties/n/0"}},
		"1e-400":                     {`{"event":"e","properties":{"n":1e-400}}`, []string{"/properties/n"}},
		"0e9999999999":               {`{"event":"e","properties":{"n":0e9999999999}}`, []string{"/properties/n"}},
		"number of 101":              {`{"event":"e","properties":{"n":` + strings.Repeat("9", 101) + `}}`, []string{"/properties/n"}},
		"50 names":                   {`{"event":"e","properties":` + keys(50) + `}`, nil},
		"51 names":                   {`{"event":"e","properties":` + keys(51) + `}`, []string{"/properties"}},
		"51 names further down":      {`{"event":"e","properties":{"a":` + keys(51) + `}}`, nil},
		"51 names in metadata":       {`{"event":"e","metadata":` + keys(51) + `}`, []string{"/metadata"}},
		"name of 100":                {`{"event":"e","properties":{"` + long[:200] + `":1}}`, nil},
		"name of 101 in properties":  {`{"event":"e","properties":{"` + long[:202] + `":1}}`, []string{"/properties"}},
		"text of 1,000":              {`{"event":"e","properties":{"a":"` + long[:2000] + `"}}`, nil},
		"text of 1,000 by escapes":   {`{"event":"e","properties":{"a":"` + strings.Repeat(`\u00e4`, 1000) + `"}}`, nil},
		"text of 1,001":              {`{"event":"e","properties":{"a":"` + long + `"}}`, []string{"/properties/a"}},
		"text of 1,001 by escapes":   {`{"event":"e","properties":{"a":["` + strings.Repeat(`\u00e4`, 1001) + `"]}}`, []string{"/properties/a/0"}},
		"8 levels":                   {`{"event":"e","properties":{"a":` + nested(7, "[", "]") + `}}`, nil},
		"9 levels":                   {`{"event":"e","properties":{"a":` + nested(8, "[", "]") + `}}`, []string{"/properties/a/0/0/0/0/0/0/0"}},
		"9 levels of objects":        {`{"event":"e","metadata":` + strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9) + `}`, []string{"/metadata/a/a/a/a/a/a/a/a"}},
		"thousands of levels":        {`{"event":"e","properties":{"a":` + nested(5000, "[", "]") + `}}`, []string{"/properties/a/0/0/0/0/0/0/0"}},
		"several at once":            {`{"event":"e","x":1,"properties":{"a":"\u0000","b":1e999},"user_id":7}`, []string{"/x", "/properties/a", "/properties/b", "/user_id"}},
		"not an object":              {`[{"event":"e"}]`, []string{""}},
		"a string":                   {`"event"`, []string{""}},
		"null":                       {`null`, []string{""}},
		"fields of forms":            {`{"event":"e","operation":"o","path":"/"}`, []string{"/operation", "/path"}},
		"path without page view":     {`{"path":"/"}`, []string{"/event_name", "/path"}},
		"number with upper exponent": {`{"event":"e","properties":{"n":1E999}}`, []string{"/properties/n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var e event.Event
			_, err := testDecoder().Decode([]byte(c.raw), &e)
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

func TestDecodeRefusesBrokenSyntax(t *testing.T) {
	for _, raw := range []string{
		``, ` `, `{`, `}`, `{"event"`, `{"event":`, `{"event":"e"`, `{"event":"e",}`, `{"event":"e"}}`, `{"event":"e"} {}`,
		`{"event":"e"},`, `{event:"e"}`, `{'event':'e'}`, `{"event":"e" "user_id":"u"}`, `{"event":"e",,"user_id":"u"}`,
		`{"event":tru}`, `{"event":NaN}`, `{"event":"e","properties":{"a":01}}`, `{"event":"e","properties":{"a":.5}}`,
		`{"event":"e","properties":{"a":1.}}`, `{"event":"e","properties":{"a":+1}}`, `{"event":"e","properties":{"a":Infinity}}`,
		`{"event":"e","properties":{"a":"` + "\n" + `"}}`, `{"event":"e","properties":{"a":"` + "\x00" + `"}}`,
		`{"event":"e","properties":{"a":"\x41"}}`, `{"event":"e","properties":{"a":"\u12"}}`, `{"event":"e","properties":{"a":[1,]}}`,
		`{"event":"e","properties":{"a":[1}}}`, `{"event":"e","properties":{"a"}}`, `{"event":"e","properties":{1:2}}`,
		`{"event":"e","tags":["a"`, `{"event":"e","tags":["a",]}`, `{"event":"e" /* c */}`, "\ufeff" + `{"event":"e"}`, "\x00", "\xff\xfe",
		`{"event":"e","properties":{"password":[1}}`, `nul`, `[1`, `"`, `{"event":"e","x":{]}`,
		`{"event":"e","properties":{"a":` + nested(12000, "[", "]") + `}}`,
		strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 6000),
	} {
		var e event.Event
		_, err := testDecoder().Decode([]byte(raw), &e)
		if !errs.Is(err, errs.Malformed) {
			t.Errorf("%.60q: error %v of kind %v, want kind Malformed", raw, err, errs.KindOf(err))
		}
	}
}

func TestDecodeRefusesLargeEvents(t *testing.T) {
	frame := `{"event":"e","metadata":{"a":["%s"]}}`
	fill := func(n int) string {
		return fmt.Sprintf(frame, strings.Repeat(strings.Repeat("x", 997)+`","`, n/1000)+strings.Repeat("y", n%1000))
	}
	limit := event.DefaultLimits().EventBytes
	var e event.Event
	if _, err := testDecoder().Decode([]byte(fill(limit-len(frame)+2)), &e); err != nil {
		t.Errorf("an event of the largest size: %v %v", err, fieldsOf(err))
	}
	if _, err := testDecoder().Decode([]byte(fill(limit-len(frame)+3)), &e); !errs.Is(err, errs.TooLarge) {
		t.Errorf("an event one byte larger: %v", err)
	}
}

func TestDecodeNeverRepeatsAValue(t *testing.T) {
	const secret = "hunter2"
	for _, raw := range []string{
		`{"event":"hunter2\u0000","user_id":"hunter2\ud800","event_type":"hunter2","severity":"hunter2","timestamp":"hunter2",
		  "ip_address":"hunter2","timezone":"hunter2 ","tags":["hunter2\u0000"],"sample_rate":-72,
		  "properties":{"a":"hunter2\u0000","hunter2\u0000":1},"hunter2 hunter2":1}`,
		`{"event":hunter2}`, `{"event":"e","properties":{"a":hunter2}}`, `{"event":"e","properties":{"a":"b"}}hunter2`,
		`{"method":"hunter2\u0000","path":7,"status_code":"hunter2"}`,
	} {
		var e event.Event
		_, err := testDecoder().Decode([]byte(raw), &e)
		if err == nil {
			t.Errorf("%s was accepted", raw)
		}
		if all := fmt.Sprint(err, fieldsOf(err)); strings.Contains(all, secret) {
			t.Errorf("%s: the answer repeats the value: %s", raw, all)
		}
	}
}

func TestDecodeListsABoundedNumberOfProblems(t *testing.T) {
	raw := `{"event":"e","properties":{"a":[` + strings.TrimSuffix(strings.Repeat(`"\u0000",`, 3000), ",") + `]}}`
	var e event.Event
	_, err := testDecoder().Decode([]byte(raw), &e)
	fields := fieldsOf(err)
	if len(fields) != maxProblems+1 || fields[maxProblems].Location != "" {
		t.Errorf("%d problems, the last %v", len(fields), fields[len(fields)-1])
	}
}

// TestDecodeIsQuickWithHostileObjects bounds what one small event may cost: the search for
// duplicate names must not be quadratic.
func TestDecodeIsQuickWithHostileObjects(t *testing.T) {
	d := testDecoder(func(o *Options) { o.Limits.EventBytes = 1 << 20 })
	for name, raw := range map[string]string{
		"many names":     `{"event":"e","properties":{"a":{` + strings.TrimSuffix(strings.Repeat(`"":0,`, 200_000), ",") + `}}}`,
		"one long name":  `{"event":"e","properties":{"` + strings.Repeat("x", 1<<20-100) + `":1}}`,
		"one long field": `{"event":"e","` + strings.Repeat("x", 1<<20-100) + `":1}`,
		"long number":    `{"event":"e","properties":{"a":` + strings.Repeat("9", 1<<20-100) + `}}`,
		"digits":         `{"event":"e","properties":{"a":"` + strings.Repeat("4 ", 1<<18) + `"}}`,
	} {
		var e event.Event
		start := time.Now()
		_, err := d.Decode([]byte(raw), &e)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v", name, took)
		}
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
