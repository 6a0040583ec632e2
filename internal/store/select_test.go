package store_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/pgtest"
	"github.com/tidemark-obs/tidemark/internal/store"
	"github.com/tidemark-obs/tidemark/internal/store/storetest"
)

// selectable is a store with a thousand events, an access key and settings.
func selectable(t *testing.T) (*store.Store, string) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	batch := store.Batch{From: store.Cursor{Stream: "s"}, Seq: 1, Events: storetest.NewGenerator(1, time.Now()).Events(1_000)}
	if _, err := s.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if err := s.InsertKey(t.Context(), store.Key{ID: "id", Name: "sesame", Hash: []byte("sesame"), Scopes: []string{"admin"}, CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveSettings(t.Context(), []byte(`{"sesame":1}`)); err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestSelectAnswers(t *testing.T) {
	s, _ := selectable(t)
	for sql, want := range map[string]string{
		`SELECT count(*) FROM events`: `[[1000]]`,
		`select 1 AS a, 'x' AS b; `:   `[[1,"x"]]`,
		"SELECT 1 -- a comment":       `[[1]]`,
		`FROM range(3)`:               `[[0],[1],[2]]`,
		`VALUES (1, NULL), (2, true)`: `[[1,null],[2,true]]`,
		`WITH a AS (SELECT 2 AS n), b AS (SELECT n + 1 AS n FROM a) SELECT * FROM a, b`:                                                                                              `[[2,3]]`,
		`WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT sum(n)::INT FROM r`:                                                                    `[[6]]`,
		`SELECT json_extract_string(properties, '$.plan') AS plan, count(*) FROM main.events GROUP BY ALL ORDER BY 2 LIMIT 1`:                                                        `[["pro",1000]]`,
		`SELECT [1,2], {'a': 1}, map {'k': 1.5}, 1.5::DECIMAL(4,2), 'nan'::DOUBLE, '\xff'::BLOB, TIMESTAMP '2025-01-01', 2::HUGEINT`:                                                 `[[[1,2],{"a":1},{"k":1.5},1.5,null,"\\xff","2025-01-01T00:00:00Z","2"]]`,
		`SELECT list_transform([1,2], lambda x: x * 2), [y + 1 for y in [1] if y > 0], nullif(1,1), coalesce(NULL, 3)`:                                                               `[[[2,4],[2],null,3]]`,
		`SELECT row_number() OVER (ORDER BY n), sum(n) OVER ()::INT FROM (VALUES (5)) v(n) QUALIFY true`:                                                                             `[[1,5]]`,
		`WITH "a step-1" AS (FROM range(2)) SELECT lag(range, 1, -1) OVER (ORDER BY range), lead(range, -1) OVER (ORDER BY range), lag(range) OVER (ORDER BY range) FROM "a step-1"`: `[[-1,null,null],[0,0,0]]`,
		`SELECT 'access_keys', '; DROP TABLE events'`:                                                                                                                                `[["access_keys","; DROP TABLE events"]]`,
		`SELECT replace('abab', 'b', 'x'), regexp_replace('a1', '[0-9]', '', 'g'), array_to_string(['a', 'b'], '-'), list_aggr(['a', 'b'], 'string_agg', '/')`:                       `[["axax","a","a-b","a/b"]]`,
		`SELECT 'abcde' LIKE '%a%d%', 'abc' LIKE '%a_c%', 'ABC' ILIKE '%a%c%', 'abc' NOT LIKE 'a%', 'abc' GLOB '*b*', 'a%' LIKE 'a!%' ESCAPE '!', 'a' LIKE NULL`:                     `[[true,true,true,false,true,true,null]]`,
		`SELECT 1 UNION ALL SELECT 2 ORDER BY 1 DESC`:                                                                                                                                `[[2],[1]]`,
		`SELECT * FROM (SELECT 1) AS access_keys`:                                                                                                                                    `[[1]]`,
	} {
		table, err := s.Select(t.Context(), sql, 10)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got, _ := json.Marshal(table.Rows); string(got) != want || table.Truncated {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	table, err := s.Select(t.Context(), `SELECT event_id, ts FROM events`, 7)
	if err != nil || len(table.Rows) != 7 || !table.Truncated || fmt.Sprint(table.Columns) != "[event_id ts]" {
		t.Errorf("seven rows: %d of %v, truncated %v, %v", len(table.Rows), table.Columns, table.Truncated, err)
	}
	if table, err = s.Select(t.Context(), `SELECT string_agg(event_id, '') FROM events, range(400) GROUP BY range`, 400); err != nil || !table.Truncated {
		t.Errorf("a wide answer has %d rows, %v", len(table.Rows), err)
	}
}

// TestSelectStaysInItsBox tries to get out: at other tables, files, settings, and at changing things.
func TestSelectStaysInItsBox(t *testing.T) {
	s, dir := selectable(t)
	secret := dir + "/secret.csv"
	if err := os.WriteFile(secret, []byte("sesame\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := dir + "/tidemark.duckdb.tmp/export.csv" // where the database may read and write
	if err := os.WriteFile(inside, []byte("sesame\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	attempts := []string{
		``, `;`, `SELECT`, `SELEC 1`, `SELECT 1; SELECT 2`, `SELECT $1`, `SELECT 1e400`, `SELECT -1e400 FROM events`, `SELECT ?`,
		// other tables
		`SELECT * FROM access_keys`, `SELECT * FROM ACCESS_KEYS`, `SELECT * FROM "access_keys"`, `SELECT * FROM main.access_keys`,
		`SELECT * FROM tidemark.main.access_keys`, `SELECT * FROM tidemark.events`, `TABLE settings`, `FROM settings`, `SELECT * FROM dead_letters`,
		`SELECT (SELECT hash FROM access_keys)`, `SELECT 1 WHERE EXISTS (SELECT 1 FROM access_keys)`, `SELECT * FROM events WHERE event_id IN (SELECT name FROM access_keys)`,
		`SELECT 1 ORDER BY (SELECT name FROM access_keys)`, `SELECT 1 LIMIT (SELECT count(*) FROM access_keys)`, `SELECT * FROM events JOIN access_keys ON true`,
		`WITH a AS (SELECT * FROM access_keys) SELECT * FROM a`, `WITH access_keys AS (SELECT * FROM access_keys) SELECT * FROM access_keys`,
		`WITH Access_Keys AS (SELECT 1) SELECT * FROM access_keys`, `SELECT (WITH settings AS (SELECT 1) SELECT 1) FROM settings`,
		`WITH events AS (SELECT 1) SELECT * FROM events`, `WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT count(*) FROM settings, r) SELECT * FROM r`,
		`SELECT 1) AS asked UNION ALL SELECT name FROM (SELECT name FROM access_keys`, `SELECT * FROM (VALUES ((SELECT name FROM access_keys)))`,
		`SELECT list_transform([1], lambda x: (SELECT name FROM access_keys))`, `SELECT sum(1) FILTER ((SELECT true FROM access_keys)) FROM events`,
		`SELECT CASE WHEN true THEN (SELECT name FROM access_keys) END`, `SELECT sum(1) OVER (ORDER BY (SELECT name FROM access_keys))`,
		`SELECT * FROM range((SELECT count(*) FROM access_keys))`, `SELECT * FROM events TABLESAMPLE 1% , access_keys`,
		`SELECT * FROM events AT (VERSION => 1)`, `SELECT 1 INTERSECT SELECT count(*) FROM access_keys`,
		`SELECT * FROM duckdb_settings`, `SELECT * FROM sqlite_master`, `SELECT * FROM information_schema.tables`, `SELECT * FROM pg_catalog.pg_class`,
		`SELECT * FROM (DESCRIBE access_keys)`, `SELECT * FROM (SHOW TABLES)`, `SELECT * FROM (SUMMARIZE access_keys)`, `DESCRIBE events`, `SHOW TABLES`,
		`SELECT * FROM query('SELECT * FROM access_keys')`, `SELECT * FROM query_table('access_keys')`, `SELECT * FROM json_execute_serialized_sql('{}')`,
		`SELECT * FROM (PIVOT access_keys ON name USING count(*))`, `PIVOT events ON event_name USING count(*)`,
		// files and the network
		`SELECT * FROM '` + secret + `'`, `SELECT * FROM "` + secret + `"`, `SELECT * FROM read_csv('` + secret + `')`, `SELECT * FROM read_csv_auto('` + secret + `')`,
		`SELECT * FROM read_text('` + secret + `')`, `SELECT * FROM read_blob('` + secret + `')`, `SELECT * FROM read_json('` + secret + `')`, `SELECT * FROM read_parquet('x')`,
		`SELECT * FROM parquet_metadata('x')`, `SELECT * FROM sniff_csv('` + secret + `')`, `SELECT * FROM glob('` + dir + `/*')`, `SELECT * FROM 'https://example.org/x.csv'`,
		`WITH "` + secret + `" AS (SELECT * FROM "` + secret + `") SELECT * FROM "` + secret + `"`,
		`SELECT getenv('HOME')`, `COPY events TO '` + dir + `/out.csv'`, `COPY (SELECT 1) TO '` + dir + `/out.csv'`, `EXPORT DATABASE '` + dir + `/out'`,
		`ATTACH '` + dir + `/x.db'`, `INSTALL httpfs`, `LOAD httpfs`, `IMPORT DATABASE 'x'`,
		`SELECT * FROM "` + inside + `", (WITH "` + inside + `" AS (SELECT 1) SELECT * FROM "` + inside + `") AS x`,
		// settings and internals
		`SELECT current_setting('memory_limit')`, `SELECT getvariable('x')`, `SELECT * FROM duckdb_settings()`, `SELECT * FROM duckdb_secrets()`, `SELECT * FROM which_secret('x', 'y')`,
		`SELECT * FROM duckdb_tables()`, `SELECT * FROM pragma_table_info('access_keys')`, `SELECT * FROM pragma_database_list`, `SELECT * FROM duckdb_databases()`,
		`SELECT * FROM duckdb_temporary_files()`, `SELECT * FROM duckdb_logs`, `SELECT write_log('x')`, `SET memory_limit = '10GB'`, `RESET memory_limit`, `PRAGMA database_list`, `CALL pragma_version()`,
		`SELECT pg_get_viewdef(1)`, `SELECT nextval('s')`, `SELECT * FROM checkpoint()`, `SELECT * FROM force_checkpoint()`, `SET VARIABLE x = 1`,
		// changes
		`DELETE FROM events`, `UPDATE events SET processed = true`, `INSERT INTO events SELECT * FROM events`, `DROP TABLE events`, `CREATE TABLE x (a INT)`, `CREATE TEMP TABLE x AS SELECT 1`,
		`SELECT 1; DELETE FROM events`, `SELECT 1) AS x; DELETE FROM events; SELECT * FROM (SELECT 1`, `WITH d AS (DELETE FROM events RETURNING *) SELECT * FROM d`,
		`BEGIN`, `COMMIT`, `ROLLBACK`, `CHECKPOINT`, `VACUUM`, `EXPLAIN SELECT 1`, `EXPLAIN ANALYZE DELETE FROM events`, `PREPARE p AS SELECT 1`, `EXECUTE p`, `SELECT 1 INTO x`,
		// memory
		`SELECT replace(event_id, 'e', event_id) FROM events`, `SELECT regexp_replace(event_id, '.', upper(event_id), 'g') FROM events`,
		`SELECT array_to_string(list(event_id), any_value(event_id)) FROM events`, `SELECT list_aggr(['a'], 'string_agg', event_id) FROM events`,
		`SELECT string_agg(event_id, '') FROM events, range(400)`,
		`SELECT repeat('x', 1000000000)`, `SELECT lpad('x', 1000000000, 'y')`, `SELECT list_resize([1], 1000000000)`, `SELECT range(1000000000)`, `SELECT generate_series(1, 1000000000)`,
		`SELECT reservoir_quantile(range, 0.5, 2000000000) FROM range(1000) GROUP BY range`,
		strings.Repeat("x", 10_001),
		// time within one step
		`SELECT event_id LIKE '%a%b_%c' FROM events`, `SELECT event_id NOT LIKE '%a%b%c_' FROM events`, `SELECT event_id ILIKE '%a%b%c' FROM events`,
		`SELECT event_id NOT ILIKE '%a%b%c' FROM events`, `SELECT event_id GLOB '*a*b*c' FROM events`, `SELECT event_id LIKE '%a%b%c' ESCAPE '!' FROM events`,
		`SELECT event_id NOT ILIKE '%a%b%c' ESCAPE '!' FROM events`, `SELECT event_id LIKE event_name FROM events`, `SELECT event_id COLLATE NOCASE LIKE '%a%b%c' FROM events`, `SELECT "~~*"(event_id, '%a' || '%b%c%d') FROM events`,
		// crashes
		`SELECT lag(range, -9223372036854775808) OVER () FROM range(10)`, `SELECT lead(range, -9223372036854775807 - 1) OVER () FROM range(10)`,
	}
	for _, sql := range attempts {
		table, err := s.Select(t.Context(), sql, 10)
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%.100q: answered with %v, error %v", sql, table.Rows, err)
			continue
		}
		var e *errs.Error
		for err := err; err != nil; err = nil {
			e, _ = err.(*errs.Error)
		}
		if told := fmt.Sprint(e.Detail, e.Fields); strings.Contains(told, "access_keys") || strings.Contains(told, "sesame") {
			t.Errorf("%s: the refusal says %s", sql, told)
		}
	}
	if _, err := os.Stat(dir + "/out.csv"); err == nil {
		t.Error("a file was written")
	}
	table, err := s.Select(t.Context(), `SELECT count(*), sum(processed::INT)::INT FROM events`, 1)
	if got := fmt.Sprint(table.Rows); err != nil || got != "[[1000 0]]" {
		t.Errorf("after all that: %v, %v", got, err)
	}
}

func TestSelectIsForTheEmbeddedDatabase(t *testing.T) {
	s := open(t, store.Config{URL: pgtest.URL(t)})
	if _, err := s.Select(t.Context(), `SELECT 1`, 1); !errs.Is(err, errs.NotFound) {
		t.Errorf("PostgreSQL: %v", err)
	}
}

// TestSelectIsTimeBoxed asks something without an end; the store answers others afterwards.
func TestSelectIsTimeBoxed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir, QueryTimeout: 300 * time.Millisecond})
	for range 3 {
		if _, err := s.Select(t.Context(), `WITH RECURSIVE r AS (SELECT 1 AS n UNION SELECT n + 1 FROM r) SELECT max(n) FROM r`, 1); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("a question without an end: %v", err)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSelectIsMemoryBoxed lets the process grow while something without an end is asked.
func TestSelectIsMemoryBoxed(t *testing.T) {
	var looks atomic.Int64
	s := open(t, store.Config{Dir: t.TempDir(), Resident: func() (int64, bool) { return min(looks.Add(1), 4) << 28, true }})
	_, err := s.Select(t.Context(), `SELECT count(*) FROM range(1000000000000)`, 1)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "too large") || looks.Load() != 4 {
		t.Errorf("after %d looks: %v", looks.Load(), err)
	}
	if table, err := s.Select(t.Context(), `SELECT 1`, 1); err != nil || len(table.Rows) != 1 {
		t.Errorf("afterwards: %v, %v", table, err)
	}
	if n, known := store.Resident(); runtime.GOOS == "linux" && (!known || n < 1<<20) {
		t.Errorf("this process has %d bytes, %v", n, known)
	}
}

// FuzzSelect throws statements at the judge of a store whose keys must stay in.
func FuzzSelect(f *testing.F) {
	dir := f.TempDir()
	s, err := store.Open(f.Context(), store.Config{Dir: dir, QueryTimeout: time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(f.Context(), false); err != nil {
		f.Fatal(err)
	}
	if err := s.InsertKey(f.Context(), store.Key{ID: "id", Name: "sesame", Hash: []byte("sesame"), Scopes: []string{"admin"}, CreatedAt: time.Now()}); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`SELECT count(*) FROM events`, `WITH a AS (SELECT 1) SELECT * FROM a`, `SELECT * FROM access_keys`, `SELECT 1) UNION (SELECT 2`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		table, err := s.Select(t.Context(), sql, 10)
		if err != nil {
			return
		}
		if got := fmt.Sprint(table.Rows); strings.Contains(got, "sesame") && !strings.Contains(sql, "sesame") {
			t.Errorf("%q opens the cave: %s", sql, got)
		}
	})
}
