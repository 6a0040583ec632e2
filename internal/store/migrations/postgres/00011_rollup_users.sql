-- +goose Up
-- How many events the users with the most events have by hour and day (width, in seconds). The rows
-- of a bucket and user add up, as in rollups. Only so many users of a bucket are kept; the row
-- without a user says how many events each user may have more than its rows say, whether it has
-- rows or none.
CREATE TABLE rollup_users (
    bucket  timestamptz NOT NULL,
    events  bigint NOT NULL,
    width   integer NOT NULL,
    fresh   boolean NOT NULL,
    user_id text
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX rollup_users_bucket ON rollup_users (width, bucket);
CREATE INDEX rollup_users_fresh ON rollup_users (width, bucket) WHERE fresh;

LOCK TABLE events IN SHARE MODE;
INSERT INTO rollup_missing (day)
SELECT day FROM (SELECT min(ts) AS first, max(ts) AS last FROM events) AS stored,
    generate_series(date_trunc('day', first), date_trunc('day', last), interval '1 day') AS days (day)
WHERE day >= (SELECT events_from FROM rollup_state)
ON CONFLICT DO NOTHING;

-- +goose Down
DROP TABLE rollup_users;
