-- +goose Up
-- Dimensions and numbers that somebody declares, by what they are (spec, of which id is the
-- fingerprint). All who store events count all of them, whoever wants them; wanted_at says when
-- one was last wanted. From since on the rows of a declaration speak for all events.
CREATE TABLE declarations (
    id        bigint PRIMARY KEY,
    spec      text NOT NULL,
    budget    integer NOT NULL, -- of values, of a dimension
    wanted_at timestamptz NOT NULL,
    since     timestamptz NOT NULL
);

-- What the events of an hour or day (width, in seconds) have of a declaration, as bytes of package
-- rollup. A transaction that changes events adds a fresh row for each hour, in parts by name; they
-- are put together later, into a row for each name and one for all (NULL). What cannot be taken
-- out of a row when events are deleted is made anew: shrunk says that it has yet to be.
CREATE TABLE rollup_values (
    bucket      timestamptz NOT NULL,
    declaration bigint NOT NULL,
    width       integer NOT NULL,
    fresh       boolean NOT NULL,
    shrunk      boolean NOT NULL,
    event_name  text,
    data        bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX rollup_values_bucket ON rollup_values (declaration, width, event_name, bucket) WHERE NOT fresh;
CREATE INDEX rollup_values_fresh ON rollup_values (bucket, declaration) WHERE fresh;

-- +goose Down
DROP TABLE rollup_values;
DROP TABLE declarations;
