package transfer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
)

var received = time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)

// awkward are events with everything that a format could lose.
func awkward() []event.Event {
	base := event.Event{
		ID: "plain", Name: "n", Type: event.Custom, Severity: event.Low, SampleRate: 1,
		Timestamp: received, ReceivedAt: received,
	}
	full := base
	full.ID, full.Name = "full", "a, \"b\"; 'c'"
	full.Type, full.Severity, full.SampleRate = event.APIError, event.Critical, 0.1
	full.UserID, full.AnonymousID, full.SessionID = "ü – 1", "=cmd()", " padded "
	full.Properties = event.Object(`{"n":123456789012345678901234567890.10,"s":"line\nbreak","o":{"d":[1,2,null]},"e":"\u00e9"}`)
	full.Metadata = event.Object(`{}`)
	full.Tags = []string{"a,b", `q"`, "c]"}
	full.Source, full.Referrer, full.Timezone = "two\nlines", "carriage\r\nreturn", "Europe/Berlin"
	full.UserAgent, full.IPAddress = "\r", "10.0.0.0"
	full.Processed, full.ProcessedAt = true, received.Add(time.Microsecond)
	old := base
	old.ID, old.Timestamp = "old", time.Unix(0, 0).UTC()
	far := base
	far.ID, far.Timestamp = "far", time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	return []event.Event{base, full, old, far}
}

func decoder() *eventjson.Decoder {
	return eventjson.NewDecoder(eventjson.Options{Limits: event.DefaultLimits(), KeepFullIP: true})
}

func TestEveryFormatKeepsEveryField(t *testing.T) {
	for _, f := range Formats {
		t.Run(string(f), func(t *testing.T) {
			want := awkward()
			file, err := os.Create(filepath.Join(t.TempDir(), "events."+string(f)))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			w, err := NewWriter(f, file, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range [][]event.Event{want[:1], want[1:]} {
				if err := w.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			r, err := NewReader(f, file)
			if err != nil {
				t.Fatal(err)
			}
			d := decoder()
			for i := range want {
				row, err := r.Next()
				if err != nil || row.Err != nil {
					t.Fatal(err, row.Err)
				}
				var got event.Event
				if _, err := d.DecodeMoved(row.JSON, &got); err != nil {
					t.Fatalf("%s: %v", row.JSON, err)
				}
				if !reflect.DeepEqual(got, want[i]) {
					t.Errorf("got  %+v\nwant %+v", got, want[i])
				}
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the last row: %v", err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// rowsOf reads all rows as "number:JSON" or "number!".
func rowsOf(t *testing.T, f Format, text string) []string {
	t.Helper()
	r, err := NewReader(f, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		s := string('0'+byte(row.Number)) + ":" + string(row.JSON)
		if row.Err != nil {
			s = string('0'+byte(row.Number)) + "!"
		}
		all = append(all, s)
	}
}

func TestRowsThatAreWrongCostOnlyThemselves(t *testing.T) {
	long := strings.Repeat("x", maxRow)
	for name, c := range map[string]struct {
		format Format
		text   string
		want   []string
	}{
		"NDJSON": {NDJSON, "\uFEFF{\"a\":1}\n\n  {\"b\":2} \r\n" + long + "y\n{\"c\":3}", []string{`1:{"a":1}`, `3:{"b":2}`, "4!", `5:{"c":3}`}},
		"CSV": {CSV, "\uFEFFevent_name, properties ,sample_rate,processed\r\n" +
			"a,\"{\n\"\"x\"\":1}\",0.5,true\r\n" + "b\n" + "c,,,\n" + "d\"e,,,\n" + "\"f\"g,,,\n" + "\n" + "\"" + long + "\",,,\n" + "h,7,NaN,yes",
			[]string{`2:{"event_name":"a","properties":{ "x":1},"sample_rate":0.5,"processed":true}`, "4!", `5:{"event_name":"c"}`,
				"6!", "7!", "9!", `:` + `:{"event_name":"h","properties":"7","sample_rate":"NaN","processed":"yes"}`}},
	} {
		if got := rowsOf(t, c.format, c.text); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %.200q\nwant %.200q", name, got, c.want)
		}
	}
}

// TestACellIsOneFieldOnly has cells that would be more, put into an event as they are.
func TestACellIsOneFieldOnly(t *testing.T) {
	r, err := NewReader(CSV, strings.NewReader("event_name,properties,tags\n"+
		`a,"{""a"":1},""user_id"":""somebody""",`+"\n"+`a,,"[""t""],""severity"":""critical"""`+"\n"+`a,"{""a"":1} {""b"":2}",`+"\n"+`a,{bad,`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/properties must be an object", "/tags must be an array of strings", "/properties must be an object", "/properties must be an object"} {
		row, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		var e event.Event
		if _, err := decoder().DecodeMoved(row.JSON, &e); err == nil || ReasonOf(err) != want {
			t.Errorf("row %d became %+v: %v, want %q", row.Number, e, err, want)
		}
	}
}

// TestAParquetColumnOfNothingIsAbsent reads what other programs make of a column without any value.
func TestAParquetColumnOfNothingIsAbsent(t *testing.T) {
	names := array.NewStringBuilder(memory.DefaultAllocator)
	names.AppendValues([]string{"a", "b"}, nil)
	s := arrow.NewSchema([]arrow.Field{{Name: "event_name", Type: arrow.BinaryTypes.String}, {Name: "user_id", Type: arrow.Null, Nullable: true}}, nil)
	f, err := os.Create(filepath.Join(t.TempDir(), "null.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pqarrow.NewFileWriter(s, open{f}, nil, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(array.NewRecordBatch(s, []arrow.Array{names.NewArray(), array.NewNull(2)}, 2)), w.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(Parquet, f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []string{`{"event_name":"a"}`, `{"event_name":"b"}`} {
		if row, err := r.Next(); err != nil || string(row.JSON) != want {
			t.Errorf("%s, %v; want %s", row.JSON, err, want)
		}
	}
}

// TestTextThatIsNotUTF8IsRefused reads what a program wrote in Latin-1: it must not come in as something else.
func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	r, err := NewReader(CSV, strings.NewReader("event_name,user_id,properties,tags\nsignup,M\xfcller,,\nsignup,u,\"{\"\"city\"\":\"\"K\xf6ln\"\"}\",\n"+
		"signup,u,,\"[\"\"Gr\xf6\xdfe\"\"]\"\nsignup,\"a\"\"\\\xfc\",,\nsignup,Müller,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/user_id must be valid U", "/properties/city must be valid U", "/tags/0 must be valid U", "/user_id must be valid U", ""} {
		row, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		var e event.Event
		reason := ""
		if _, err := decoder().DecodeMoved(row.JSON, &e); err != nil {
			reason = ReasonOf(err)
		}
		if !strings.HasPrefix(reason, want) || want == "" && reason != "" {
			t.Errorf("row %d, user %q: refused for %q, want %q", row.Number, e.UserID, reason, want)
		}
	}
}

func TestFilesThatAreNoneAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"is empty": "", `"plan" is not a field`: "event_name,plan\n", `"event_name" comes twice`: "event_name,event_name\n",
		"not closed": "\"event_name", "no column event_name": "event_id,user_id\n", `column "" is not`: ",event_name\n",
		"with commas": "event_name;event_id\n", "save the file with": "event_name\tevent_id\n", "save the file as UTF-8": "\xff\xfee\x00v\x00",
	} {
		if _, err := NewReader(CSV, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("CSV, want an error with %q: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "no.parquet")
	if err := os.WriteFile(path, []byte("PAR1 but not really PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := NewReader(Parquet, f); err == nil {
		t.Error("Parquet: no error")
	}
	pipe, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer end.Close()
	for _, stream := range []io.Reader{strings.NewReader(""), pipe} {
		if _, err := NewReader(Parquet, stream); err == nil || !strings.Contains(err.Error(), "from a file") {
			t.Errorf("Parquet from a %T: %v", stream, err)
		}
	}
}

func TestFormatByName(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       Format
	}{
		{"", "a.csv", CSV}, {"", "a.parquet", Parquet}, {"", "a.jsonl", NDJSON}, {"", "-", NDJSON}, {"csv", "a.parquet", CSV},
	} {
		if got, err := FormatOf(c.name, c.path); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := FormatOf("", "a.xlsx"); err == nil {
		t.Error("a spreadsheet was taken for a format")
	}
}

// FuzzCSV: whatever the file, reading ends, and rows are one line of JSON text each.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("event_name,properties\na,\"{\"\"x\"\":1}\"\n"))
	f.Add([]byte("event_name\n\"a\r\nb\"\r\n\"open"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := NewReader(CSV, bytes.NewReader(text))
		if err != nil {
			return
		}
		for n := 0; n <= len(text); n++ {
			row, err := r.Next()
			if err != nil {
				return
			}
			if row.Err == nil && bytes.ContainsAny(row.JSON, "\r\n") {
				t.Fatalf("a row of more than one line: %q", row.JSON)
			}
		}
		t.Fatal("more rows than bytes")
	})
}

// TestParquetPagesOfManySizes reads pages of every length around the size of the reader's buffer: a
// page that it took in two parts used to be unreadable.
func TestParquetPagesOfManySizes(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	const first, last, step = 7_600, 8_600, 20
	letters := make([]byte, last) // that do not compress
	file, err := os.Create(filepath.Join(t.TempDir(), "events.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := first; size <= last; size += step {
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		_, _ = random.Read(letters)
		want := awkward()[0]
		want.Source = hex.EncodeToString(letters[:size])
		w, err := NewWriter(Parquet, file, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write([]event.Event{want}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(Parquet, file)
		if err != nil {
			t.Fatal(err)
		}
		row, err := r.Next()
		if err != nil || !bytes.Contains(row.JSON, []byte(want.Source)) {
			t.Fatalf("a page of about %d bytes: %v", size, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedParquet changes a file at one place after the other: it can be read or it cannot, and nothing
// else happens.
func TestDamagedParquet(t *testing.T) {
	name := filepath.Join(t.TempDir(), "events.parquet")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(Parquet, file, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(awkward()), w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tried, refused := 0, 0
	for i := 0; i < len(whole); i += 19 { // reaches each kind of field
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= flip
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			tried++
			if readAll(t, name) != nil {
				refused++
			}
		}
	}
	if refused < tried/2 {
		t.Errorf("only %d of %d damaged files were refused", refused, tried)
	}
}

// readAll reads a Parquet file to its end, or to the first error.
func readAll(t *testing.T, name string) error {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := NewReader(Parquet, file)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// parquetOf is a file with event_name "a" and one more column, of one row.
func parquetOf(t *testing.T, name string, column arrow.DataType, add func(array.Builder)) *os.File {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "event_name", Type: arrow.BinaryTypes.String}, {Name: name, Type: column, Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	b.Field(0).(*array.StringBuilder).Append("a")
	add(b.Field(1))
	f, err := os.Create(filepath.Join(t.TempDir(), "in.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w, err := pqarrow.NewFileWriter(s, open{f}, nil, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAParquetColumnOfAnotherTypeIsRefusedAtOnce, and not in each of millions of rows.
func TestAParquetColumnOfAnotherTypeIsRefusedAtOnce(t *testing.T) {
	null := func(b array.Builder) { b.AppendNull() }
	for _, c := range []struct {
		name   string
		column arrow.DataType
		want   string
	}{
		{"timestamp", arrow.PrimitiveTypes.Int64, `the column "timestamp" is of the type int64; write it as a timestamp, a date or RFC 3339 text`},
		{"received_at", arrow.PrimitiveTypes.Float64, `the column "received_at" is of the type float64`},
		{"properties", arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String), `the column "properties" is of the type map; write it as JSON text`},
		{"event_id", &arrow.FixedSizeBinaryType{ByteWidth: 16}, `the column "event_id" is of the type fixed_size_binary; write it as text`},
		{"user_id", arrow.ListOf(arrow.BinaryTypes.String), `the column "user_id" is of the type list`},
		{"processed", arrow.PrimitiveTypes.Int8, `the column "processed" is of the type int8; write it as a boolean`},
		{"sample_rate", arrow.FixedWidthTypes.Boolean, `the column "sample_rate" is of the type bool; write it as a number`},
	} {
		if _, err := NewReader(Parquet, parquetOf(t, c.name, c.column, null)); err == nil || !strings.HasPrefix(ReasonOf(err), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// TestParquetColumnsOfOtherProgramsAreRead reads the types that other programs have for what an event has.
func TestParquetColumnsOfOtherProgramsAreRead(t *testing.T) {
	texts := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	plan := arrow.StructOf(arrow.Field{Name: "plan", Type: arrow.BinaryTypes.String, Nullable: true})
	for _, c := range []struct {
		name   string
		column arrow.DataType
		value  string
		want   string
	}{
		{"timestamp", arrow.FixedWidthTypes.Date32, "2026-03-01", `"2026-03-01T00:00:00.000000Z"`},
		{"timestamp", arrow.FixedWidthTypes.Timestamp_s, "2026-03-01T10:00:00Z", `"2026-03-01T10:00:00.000000Z"`},
		{"user_id", arrow.PrimitiveTypes.Int64, "7", `"7"`},
		{"user_id", texts, "u", `"u"`},
		{"event_id", extensions.NewUUIDType(), "0193c5a0-0000-7000-8000-000000000001", `"0193c5a0-0000-7000-8000-000000000001"`},
		{"sample_rate", arrow.PrimitiveTypes.Float32, "0.5", `0.5`},
		{"tags", arrow.ListOf(arrow.BinaryTypes.String), `["a"]`, `["a"]`},
		{"properties", plan, `{"plan":"p"}`, `{"plan":"p"}`},
	} {
		r, err := NewReader(Parquet, parquetOf(t, c.name, c.column, func(b array.Builder) {
			text := c.value
			if text[0] != '{' && text[0] != '[' && c.column != arrow.PrimitiveTypes.Int64 && c.column != arrow.PrimitiveTypes.Float32 {
				text = strconv.Quote(text)
			}
			if err := b.UnmarshalJSON([]byte("[" + text + "]")); err != nil {
				t.Fatal(err)
			}
		}))
		if err != nil {
			t.Fatal(c.name, c.column, err)
		}
		want := `{"event_name":"a","` + c.name + `":` + c.want + "}"
		if row, err := r.Next(); err != nil || string(row.JSON) != want {
			t.Errorf("%s of the type %s: %s, %v; want %s", c.name, c.column, row.JSON, err, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
