-- +goose Up
-- No key and no index: a row that is changed would be there twice.
-- Dimensions and numbers that somebody declares, by what they are (spec, of which id is the
-- fingerprint). All who store events count all of them, whoever wants them; wanted_at says when
-- one was last wanted. From since on the rows of a declaration speak for all events.
CREATE TABLE declarations (
    id        bigint NOT NULL,
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
    data        blob NOT NULL
);

-- +goose Down
DROP TABLE rollup_values;
DROP TABLE declarations;
