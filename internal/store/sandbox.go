package store

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// sandbox judges a statement by the tree that the database's own parser makes of it. What it does
// not know is refused: a table other than events, a table function that could read a file or a
// setting, a function that is not on the list.
type sandbox struct {
	offset int             // of the user's text in the statement
	ctes   map[string]bool // names of common table expressions, lower case
	faults []errs.Field
}

// words makes a set of names.
func words(lists ...string) map[string]bool {
	set := map[string]bool{}
	for _, list := range lists {
		for _, w := range strings.Fields(list) {
			set[w] = true
		}
	}
	return set
}

// The parts of a tree that may stand in a statement.
var (
	sandboxClasses = words(`COLUMN_REF CONSTANT COMPARISON CONJUNCTION FUNCTION WINDOW OPERATOR CAST CASE SUBQUERY STAR
		BETWEEN COLLATE LAMBDA LAMBDA_REF POSITIONAL_REFERENCE TYPE`)
	sandboxNodes = words(`SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE
		BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EMPTY EXPRESSION_LIST
		ORDER_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER
		ORDER_DEFAULT ORDER_ASCENDING ORDER_DESCENDING ASCENDING DESCENDING`)
	sandboxTables = words(`range generate_series unnest json_each json_tree`)
)

// sandboxFunctions work on their arguments alone, and make nothing much larger than those.
var sandboxFunctions = words(
	// operators and what the parser writes for syntax
	`+ - * / // % ** ^ & | << >> ~ || @ ! ~~ !~~ ~~* !~~* ~~~ ^@ -> ->> <@ @> && not_like_escape like_escape ilike_escape
	not_ilike_escape regexp_full_match list_value struct_pack struct_extract row array_extract list_extract array_slice list_slice
	list_apply list_filter list_transform in_search_path unnest count_star contains map main error`,
	// aggregates and windows
	`any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_min argmax argmin array_agg avg bit_and bit_or
	bit_xor bool_and bool_or corr count count_if countif covar_pop covar_samp cume_dist dense_rank entropy favg first first_value
	fsum histogram kurtosis lag last last_value lead list mad max max_by mean median min min_by mode nth_value ntile percent_rank
	product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
	row_number sem skewness stddev stddev_pop stddev_samp string_agg group_concat listagg sum sum_no_overflow
	var_pop var_samp variance weighted_avg wavg geomean geometric_mean`,
	// numbers
	`abs acos asin atan atan2 bin bit_count cbrt ceil ceiling cos cot degrees divide even exp factorial fdiv floor fmod gcd
	greatest isfinite isinf isnan lcm least ln log log10 log2 mod multiply nextafter pi pow power radians random round round_even
	sign sin sqrt subtract add tan trunc hash`,
	// texts
	`ascii bar base64 bit_length char_length character_length chr concat concat_ws editdist3 ends_with format_bytes hamming
	hex instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme length levenshtein lower ltrim md5 mismatches
	nfc_normalize ord position prefix regexp_extract regexp_extract_all regexp_matches regexp_replace regexp_split_to_array replace
	reverse right rtrim sha1 sha256 split split_part starts_with str_split string_split string_split_regex string_to_array
	strip_accents strlen strpos substr substring substring_grapheme suffix to_base64 to_hex translate trim ucase unicode upper
	url_decode url_encode`,
	// time
	`age ago century current_date current_localtime current_localtimestamp date_add date_diff date_part date_sub date_trunc datediff
	datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era
	get_current_time get_current_timestamp hour isodow isoyear last_day make_date make_time make_timestamp make_timestamptz microsecond
	millennium millisecond minute month monthname now quarter second strftime strptime time_bucket timezone timezone_hour
	timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_milliseconds to_minutes to_months to_quarters
	to_seconds to_timestamp to_weeks to_years today transaction_timestamp try_strptime week weekday weekofyear year yearweek`,
	// JSON, lists, structs and the rest
	`json_array json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text json_extract_string
	json_keys json_object json_quote json_structure json_type json_valid json_value to_json array_to_json row_to_json from_json
	json_transform json_group_array json_group_object json_merge_patch
	array_contains array_distinct array_has array_has_all array_has_any array_length array_position array_sort array_to_string
	array_unique cardinality element_at flatten len list_aggregate list_aggr list_any_value list_avg list_concat list_contains
	list_count list_distinct list_first list_has list_has_all list_has_any list_indexof list_last list_max list_median list_min
	list_position list_reduce list_reverse list_reverse_sort list_sort list_string_agg list_sum list_unique list_where list_zip
	map_contains map_entries map_extract map_from_entries map_keys map_values struct_insert
	coalesce if ifnull nullif typeof pg_typeof constant_or_null gen_random_uuid uuid version`)

// sandboxConstant are arguments that must be written out, by their places: with texts from elsewhere
// these functions would make products of what they are given, in one step that nothing can stop.
var sandboxConstant = map[string][]int{
	"replace": {2}, "regexp_replace": {2}, "array_to_string": {1}, "list_string_agg": {1}, "list_aggr": {1, 2}, "list_aggregate": {1, 2},
}

// sandboxPatterns are functions that compare a text with a pattern, by what stands for any characters in
// it. They try all places for each of those but the last, one within the other: of a text of 1,000
// characters that takes for ever where there are many, in one step that nothing can stop.
var sandboxPatterns = map[string]string{
	"~~": "%", "!~~": "%", "~~*": "%", "!~~*": "%", "~~~": "*",
	"like_escape": "%", "not_like_escape": "%", "ilike_escape": "%", "not_ilike_escape": "%",
}

// maxPatternPlaces is how many of them a pattern may have before its end.
const maxPatternPlaces = 2

// serialized is what json_serialize_sql answers.
type serialized struct {
	Error      bool   `json:"error"`
	Type       string `json:"error_type"`
	Position   string `json:"position"`
	Statements []any  `json:"statements"`
}

// check reads the parser's answer about a statement that has the user's text at offset. It returns
// the names of the statement's common table expressions, which must not be those of tables.
func checkStatement(answer []byte, offset int) (ctes []string, err error) {
	var tree serialized
	if err := json.Unmarshal(answer, &tree); err != nil { // as where it writes infinity, which JSON has not
		return nil, errs.Wrap(errs.Invalid, "the SQL has a number that is too large", err)
	}
	s := sandbox{offset: offset, ctes: map[string]bool{}}
	switch {
	case tree.Error && tree.Type == "parser":
		at, err := strconv.ParseFloat(tree.Position, 64)
		s.refuse("is not a SELECT that the database can read", at, err == nil)
	case tree.Error, len(tree.Statements) != 1:
		s.refuse("must be one SELECT statement and nothing else", 0, false)
	default:
		s.names(tree.Statements[0])
		s.walk(tree.Statements[0])
	}
	if len(s.faults) > 0 {
		return nil, &errs.Error{Kind: errs.Invalid, Detail: "the SQL is not one that may be asked", Fields: s.faults}
	}
	for name := range s.ctes {
		ctes = append(ctes, name)
	}
	slices.Sort(ctes)
	return ctes, nil
}

// maxSandboxFaults bounds the list of faults.
const maxSandboxFaults = 10

func (s *sandbox) refuse(message string, at float64, known bool) {
	if known {
		message += ", at character " + strconv.Itoa(max(1, int(at)-s.offset+1))
	}
	if len(s.faults) < maxSandboxFaults {
		s.faults = append(s.faults, errs.Field{Location: "sql", Message: message})
	}
}

func (s *sandbox) refuseNode(message string, node map[string]any) {
	at, known := node["query_location"].(float64)
	s.refuse(message, at, known)
}

// names collects the common table expressions, wherever they stand.
func (s *sandbox) names(v any) {
	switch v := v.(type) {
	case map[string]any:
		if m, ok := v["cte_map"].(map[string]any); ok {
			list, _ := m["map"].([]any)
			for _, entry := range list {
				if e, ok := entry.(map[string]any); ok {
					s.name(e["key"])
				}
			}
		}
		if name, ok := v["cte_name"]; ok {
			s.name(name)
		}
		for _, child := range v {
			s.names(child)
		}
	case []any:
		for _, child := range v {
			s.names(child)
		}
	}
}

// name notes a common table expression. Where it is not in scope the database takes its name for a file's,
// so it must not be one.
func (s *sandbox) name(v any) {
	name, ok := v.(string)
	if !ok {
		return
	}
	s.ctes[strings.ToLower(name)] = true
	other := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_- ", r)
	}
	if strings.ContainsFunc(name, other) {
		s.refuse("names a common table expression with something other than letters, digits, blanks, - and _", 0, false)
	}
}

// walk judges a node and everything under it.
func (s *sandbox) walk(v any) {
	switch v := v.(type) {
	case map[string]any:
		s.node(v)
	case []any:
		for _, child := range v {
			s.walk(child)
		}
	}
}

func (s *sandbox) node(n map[string]any) {
	class, expression := n["class"].(string)
	kind, typed := n["type"].(string)
	switch {
	case expression && !sandboxClasses[class]:
		s.refuseNode("has a kind of expression that is not allowed", n)
	case !expression && typed && !sandboxNodes[kind] && !strings.HasSuffix(kind, "_TYPE_INFO"):
		s.refuseNode("reads from something that is not allowed; read from events", n)
	case !expression && kind == "BASE_TABLE":
		s.table(n)
	case !expression && kind == "TABLE_FUNCTION":
		s.tableFunction(n)
		return
	}
	if name, ok := n["function_name"].(string); ok {
		schema, _ := n["schema"].(string)
		catalog, _ := n["catalog"].(string)
		if !sandboxFunctions[strings.ToLower(name)] || catalog != "" || schema != "" && schema != "main" {
			s.refuseNode("calls a function that is not allowed", n)
		}
		s.constants(strings.ToLower(name), n)
		s.distance(n)
		s.pattern(strings.ToLower(name), n)
	}
	for _, key := range sortedKeys(n) {
		s.walk(n[key])
	}
}

// constants refuses a call whose arguments are computed where they must not be.
func (s *sandbox) constants(name string, n map[string]any) {
	arguments, _ := n["children"].([]any)
	for _, place := range sandboxConstant[name] {
		if place >= len(arguments) {
			continue
		}
		if argument, _ := arguments[place].(map[string]any); argument["class"] != "CONSTANT" {
			s.refuseNode("calls a function with an argument that must be a text as it stands", n)
		}
	}
}

// maxDistance is how many rows lag and lead may look away: at the least number that there is the database
// crashes, and the process with it.
const maxDistance = 1 << 31

// distance refuses lag and lead with a distance that is computed or very large.
func (s *sandbox) distance(n map[string]any) {
	offset, given := n["offset_expr"].(map[string]any)
	if !given {
		return
	}
	constant, _ := offset["value"].(map[string]any)
	rows, ok := constant["value"].(float64)
	if offset["class"] != "CONSTANT" || !ok || math.Abs(rows) > maxDistance {
		s.refuseNode("looks at a row whose distance is not a number as it stands, or is too large", n)
	}
}

// pattern refuses one that is computed, or takes too long. LIKE can be quick with more, but is not with a _
// or of texts that have a collation, which may come from anywhere in the statement.
func (s *sandbox) pattern(name string, n map[string]any) {
	wildcard, known := sandboxPatterns[name]
	arguments, _ := n["children"].([]any)
	if !known || len(arguments) < 2 {
		return
	}
	argument, _ := arguments[1].(map[string]any)
	constant, _ := argument["value"].(map[string]any)
	text, _ := constant["value"].(string)
	switch {
	case argument["class"] != "CONSTANT":
		s.refuseNode("compares with a pattern that is not a text as it stands", n)
	case strings.Count(strings.TrimRight(text, wildcard), wildcard) > maxPatternPlaces:
		s.refuseNode("compares with a pattern that has "+wildcard+" in too many places; take regexp_matches", n)
	}
}

func (s *sandbox) table(n map[string]any) {
	name, _ := n["table_name"].(string)
	name = strings.ToLower(name)
	schema, _ := n["schema_name"].(string)
	catalog, _ := n["catalog_name"].(string)
	_, versioned := n["at_clause"]
	switch {
	case versioned, catalog != "", schema != "" && (schema != "main" || name != "events"), name != "events" && !s.ctes[name]:
		s.refuseNode("reads from a table that is not allowed; read from events", n)
	}
}

func (s *sandbox) tableFunction(n map[string]any) {
	f, _ := n["function"].(map[string]any)
	name, _ := f["function_name"].(string)
	schema, _ := f["schema"].(string)
	if f["class"] != "FUNCTION" || schema != "" || !sandboxTables[strings.ToLower(name)] {
		s.refuseNode("calls a table function that is not allowed", n)
		return
	}
	for _, key := range sortedKeys(n) {
		if key != "function" {
			s.walk(n[key])
		}
	}
	s.walk(f["children"])
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
