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
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

LOCK TABLE rollups IN SHARE MODE; -- who tidies comes to an end first
INSERT INTO rollup_totals (bucket, events, sampled, width, field, value)
SELECT bucket, sum(events), sum(sampled), width, field, value
FROM rollups, LATERAL (VALUES (1, event_type), (2, event_name), (3, severity), (4, source), (5, processed::text)) AS columns (field, value)
WHERE NOT fresh AND width IN (3600, 86400)
GROUP BY bucket, width, field, value HAVING sum(events) <> 0 OR sum(sampled) <> 0
ORDER BY width, field, bucket;
CREATE INDEX rollup_totals_bucket ON rollup_totals (field, width, bucket);

-- Rows of names are read by time, whatever the names.
DROP INDEX rollup_values_bucket;
CREATE INDEX rollup_values_bucket ON rollup_values (declaration, width, bucket, event_name) WHERE NOT fresh;

-- +goose Down
DROP INDEX rollup_values_bucket;
CREATE INDEX rollup_values_bucket ON rollup_values (declaration, width, event_name, bucket) WHERE NOT fresh;
DROP TABLE rollup_totals;
