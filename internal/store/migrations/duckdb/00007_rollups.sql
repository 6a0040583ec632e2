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
);

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
    users      blob NOT NULL,
    sessions   blob NOT NULL
);

-- Days whose roll-ups lack the events that were stored before there were any. Until they are
-- filled in the background, questions about them are answered from the events.
CREATE TABLE rollup_missing (day timestamptz NOT NULL);

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

INSERT INTO rollup_missing (day) SELECT DISTINCT date_trunc('day', ts) FROM events;

-- +goose Down
DROP TABLE rollup_state;
DROP TABLE rollup_missing;
DROP TABLE rollup_ids;
DROP TABLE rollups;
