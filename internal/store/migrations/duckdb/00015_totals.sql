-- +goose Up
-- What the tidy rows of an hour or day (width, in seconds) in rollups add up to by one column alone:
-- by type (field 1), name (2), severity (3), source (4) or processed (5). They are made with those rows.
CREATE TABLE rollup_totals (
    bucket  timestamptz NOT NULL,
    events  bigint NOT NULL,
    sampled bigint NOT NULL,
    width   integer NOT NULL,
    field   integer NOT NULL,
    value   text -- NULL = events without a source
);

INSERT INTO rollup_totals (bucket, events, sampled, width, field, value)
SELECT bucket, sum(events), sum(sampled), width, field, value FROM (
    SELECT bucket, events, sampled, width, unnest([1, 2, 3, 4, 5]) AS field,
        unnest([event_type, event_name, severity, source, processed::text]) AS value
    FROM rollups WHERE NOT fresh AND width IN (3600, 86400)) AS columns
GROUP BY bucket, width, field, value HAVING sum(events) <> 0 OR sum(sampled) <> 0
ORDER BY width, field, bucket;

-- +goose Down
DROP TABLE rollup_totals;
