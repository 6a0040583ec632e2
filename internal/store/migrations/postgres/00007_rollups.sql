-- +goose Up
-- How many events there are by minute, hour and day (width, in seconds) and what questions most
-- often ask by. The rows of a bucket add up: each transaction that changes events adds rows of its own,
-- negative ones for what it takes away, and waits for nobody; fresh ones are put together later.
CREATE TABLE rollups (
    bucket     timestamptz NOT NULL,
    events     bigint NOT NULL,
    sampled    bigint NOT NULL, -- of the events, those with a sample_rate below 1
    width      integer NOT NULL,
    processed  boolean NOT NULL,
    fresh      boolean NOT NULL,
    event_type text NOT NULL,
    event_name text NOT NULL,
    severity   text NOT NULL,
    source     text
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX rollups_bucket ON rollups (width, bucket);
CREATE INDEX rollups_fresh ON rollups (width, bucket) WHERE fresh;

-- Which users and sessions there are by hour and day, as HyperLogLog sketches; empty ones have no
-- bytes. The rows of a bucket are merged. What is deleted cannot be taken out of a sketch: a row
-- without ids says by how many users or sessions those of the bucket count too much at most, until
-- they are made anew.
CREATE TABLE rollup_ids (
    bucket     timestamptz NOT NULL,
    width      integer NOT NULL,
    fresh      boolean NOT NULL,
    lost       bigint NOT NULL,
    event_name text, -- NULL = of all events
    users      bytea NOT NULL,
    sessions   bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX rollup_ids_bucket ON rollup_ids (width, bucket);
CREATE INDEX rollup_ids_fresh ON rollup_ids (width, bucket) WHERE fresh;

-- Days whose roll-ups lack the events that were stored before there were any. Until they are
-- filled in the background, questions about them are answered from the events.
CREATE TABLE rollup_missing (day timestamptz PRIMARY KEY);

-- From when on there are all events and all buckets of each width. What is older may be gone for its
-- age, or was never written.
CREATE TABLE rollup_state (
    id          integer PRIMARY KEY CHECK (id = 1),
    events_from timestamptz NOT NULL,
    minute_from timestamptz NOT NULL,
    hour_from   timestamptz NOT NULL,
    day_from    timestamptz NOT NULL
);
INSERT INTO rollup_state VALUES (1, '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00', '0001-01-01 00:00:00+00');

-- What is being stored at this moment comes to an end first, and counts as stored before.
LOCK TABLE events IN SHARE MODE;
INSERT INTO rollup_missing (day)
SELECT generate_series(date_trunc('day', first), date_trunc('day', last), interval '1 day')
FROM (SELECT min(ts) AS first, max(ts) AS last FROM events) AS stored
WHERE first IS NOT NULL;

-- +goose Down
DROP TABLE rollup_state;
DROP TABLE rollup_missing;
DROP TABLE rollup_ids;
DROP TABLE rollups;
