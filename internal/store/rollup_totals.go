package store

import (
	"context"
	"strconv"
	"time"

	"github.com/tidemark-obs/tidemark/internal/question"
)

// Totals say of the tidy rows of an hour or a day how many events they have by one column alone, for
// each column. They are much fewer, and most questions ask by no more. They are made whenever those
// rows are, in the same transaction.

// The columns of totals, by their number in the table.
const (
	totalsOfTypes = 1 + iota
	totalsOfNames
	totalsOfSeverities
	totalsOfSources
	totalsOfProcessed // which has the fewest rows, so that it answers for all events too
)

var totalFields = map[question.Column]int{
	"event_type": totalsOfTypes, question.EventName: totalsOfNames, "severity": totalsOfSeverities,
	"source": totalsOfSources, "processed": totalsOfProcessed,
}

// hasTotals reports whether buckets of a width have totals. Minutes have few events each.
func hasTotals(width time.Duration) bool { return width >= hour }

// totalsOf are the parts of a source that are totals, by one column or of all events.
func totalsOf(list []piece, columns []question.Column, args *arguments) (parts []string) {
	field, named := totalsOfProcessed, ""
	if len(columns) > 0 {
		field, named = totalFields[columns[0]], ", value AS "+string(columns[0])
		if field == totalsOfProcessed {
			named = ", (value = 'true') AS processed"
		}
	}
	for _, p := range list {
		if hasTotals(p.width) {
			parts = append(parts, "SELECT bucket AS ts"+named+", events AS n, sampled FROM rollup_totals WHERE field = "+
				strconv.Itoa(field)+" AND "+p.buckets(args))
		}
	}
	return parts
}

// totalling sums rows between its parts.
const (
	totalling = `
INSERT INTO rollup_totals (bucket, events, sampled, width, field, value)
SELECT bucket, sum(events)::bigint, sum(sampled)::bigint, width, field, value FROM (
    SELECT bucket, events, sampled, width, unnest(ARRAY[1, 2, 3, 4, 5]) AS field,
        unnest(ARRAY[event_type, event_name, severity, source, processed::text]) AS value
    FROM rollups WHERE NOT fresh AND `
	totalled = `) AS columns
GROUP BY bucket, width, field, value HAVING sum(events) <> 0 OR sum(sampled) <> 0 ORDER BY width, field, bucket`
)

// total makes the totals of some buckets of a width anew from their tidy rows.
func (s *Store) total(ctx context.Context, ses session, width time.Duration, within func(*arguments) string) error {
	if !hasTotals(width) {
		return nil
	}
	buckets := func(args *arguments) string {
		return "width = " + args.bind(int32(width/time.Second)) + " AND " + within(args)
	}
	var args arguments
	if _, err := ses.ExecContext(ctx, "DELETE FROM rollup_totals WHERE field IN (1, 2, 3, 4, 5) AND "+buckets(&args), args...); err != nil {
		return err
	}
	args = nil
	_, err := ses.ExecContext(ctx, totalling+buckets(&args)+totalled, args...)
	return err
}
