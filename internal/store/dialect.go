package store

import (
	"context"
	"database/sql"
	"io/fs"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// dialect is what differs between the databases. All other SQL is the same for both.
type dialect interface {
	name() string
	// attributes name the database in spans.
	attributes() []attribute.KeyValue
	open(ctx context.Context) (pools, error)

	// forUpdate follows a SELECT whose rows must stay as they are until the transaction ends.
	forUpdate() string
	// hasTags is a condition that holds where tags contain all of a JSON array; the array's
	// placeholder goes between its two parts.
	hasTags() (before, after string)
	// ofUser is a condition that holds for the events of a user.
	ofUser(id string, args *arguments) string
	// atTimes is a condition that holds for the events of some times, the latest first, and maybe for
	// others between them. Most is the limit of a list with it.
	atTimes(times []time.Time, limit int, args *arguments) (condition, most string)
	// listOfUser is List of one user's events.
	listOfUser(ctx context.Context, s *Store, f Filter, p Page) ([]event.Event, error)
	// snapshot makes a transaction that reads little see one moment.
	snapshot() *sql.TxOptions
	// texts makes a list of strings the value of a text[] placeholder.
	texts([]string) any

	// columnar reports that events have no index over time, so that they are read by spans of it,
	// and that the database writes Parquet files itself.
	columnar() bool

	// orderErasure orders transactions that store and those that erase: the former go side by side, the
	// latter with nobody. It holds until the transaction ends.
	orderErasure(ctx context.Context, ses session, exclusive bool) error

	// insert stores the events that are new, in the session's transaction, and returns their places.
	// There is at least one event.
	insert(ctx context.Context, ses session, events []event.Event, now time.Time) (stored []int, dup duplicates, err error)
	// observe is told of events that were stored, so that what is asked often of such can be kept apart.
	observe(ctx context.Context, s *Store, events []event.Event) error
	// load appends rows to a table, in the session's transaction.
	load(ctx context.Context, ses session, table string, columns []string, rows [][]any) error

	// compact writes the files anew without what was deleted.
	compact(ctx context.Context, s *Store) error
	// size asks for the columns of Size.
	size() string
	// expire deletes the oldest events before $1 that were received before $2, $3 at most. What it
	// returns of them follows.
	expire() string
	// settle makes the room of deleted rows usable.
	settle() string

	questionDialect
	declaredDialect

	// migrations are the files beside the common ones, and how versions are kept.
	migrations() fs.FS
	provider() (goose.Dialect, []goose.ProviderOption, error)
	// lease takes the named lock for as long as the returned function is not called.
	lease(ctx context.Context, admin *sqlx.DB, name string) (release func(), ok bool, err error)

	// changed is called when the schema may have.
	changed()

	// alone reports whether no other process can use the database.
	alone() bool

	// kind classifies an error of the driver.
	kind(err error) errs.Kind
	// gaveUp reports whether the database must be opened anew after err.
	gaveUp(err error) bool
	// tooLarge reports whether a query needed more memory or temporary disk than it may have.
	tooLarge(err error) bool
	// outOfRange reports whether a query met a number that a double does not hold.
	outOfRange(err error) bool
}

// questionDialect is what differs in the SQL of questions. All of it is made of constant text and
// expressions that are; see compiler.
type questionDialect interface {
	// acquaint reads what questions need to know of the database before they are put together.
	acquaint(ctx context.Context, q sqlx.QueryerContext) error
	// ownColumn is the column that has the JSON value of a property in those rows whose number of such
	// columns is above its place; ok is false where it has none.
	ownColumn(f question.Field) (name string, place int, ok bool)
	// ownFields are the properties that have such columns, in the order of these.
	ownFields() []string
	// extract is the JSON value at a path of keys in a column; it does not enter arrays.
	extract(column string, path []string, args *arguments) string
	// jsonExists, jsonIsText, jsonText, jsonNumber and jsonBool take such a value: whether it is
	// there and not null, whether it is the text of a placeholder, and what it is as each type,
	// NULL where it is of another.
	jsonExists(j string) string
	jsonIsText(j, placeholder string) string
	jsonText(j string) string
	jsonNumber(j string) string
	jsonBool(j string) string
	// jsonScalar is the value as one JSON text for equal values, NULL where it is none of text,
	// number, true and false; scalarOrder is such a text as a number, and as a text to sort by.
	jsonScalar(j string) string
	scalarOrder(key string) (number, text string)
	// groupsJSON reports whether the values themselves can be grouped by, as texts.
	groupsJSON() bool
	// bucket and month group events by their ts, moved by a shift in microseconds: by a width in
	// seconds, and by calendar month. Number makes a question.Calendar's number of the group b.
	bucket(shift string, width int64) (group, number string)
	month(shift string) (group, number string)
	// quantile is the interpolated percentile of an expression's values in a group.
	quantile(percent int, x string) string
	// microseconds is a time in microseconds since 1970.
	microseconds(t string) string
	// spread divides texts evenly into numbers from 0 below a count.
	spread(x string, count int) string
	// collect gathers the integers or texts of a group in one value; collected and collectedTexts hand
	// them over one by one.
	collect(x string) string
	collected(value any, each func(int64)) error
	collectedTexts(value any, each func(string)) error
}

// duplicates are the ids that were not stored because they had been before, one entry per event.
type duplicates struct {
	all  []string
	gone []string // of these, the ones whose row has been deleted since
}
