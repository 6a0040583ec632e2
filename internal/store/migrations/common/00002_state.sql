-- +goose Up
-- How far each journal stream is stored, with the ledger's counts: one row a stream.
CREATE TABLE cursors (
    stream     text PRIMARY KEY,
    seq        bigint NOT NULL,
    counts     text NOT NULL,
    totals     text NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Ids of deleted events, which stay duplicates.
CREATE TABLE tombstones (
    event_id text NOT NULL,
    noted_at timestamptz NOT NULL
);

-- What became of ids that are not stored; the newest row of an id speaks.
CREATE TABLE receipts (
    event_id text NOT NULL,
    status   text NOT NULL,
    reason   text NOT NULL,
    noted_at timestamptz NOT NULL
);

-- Accepted events that cannot be stored, whole. The payload may be no valid text.
CREATE TABLE dead_letters (
    event_id text NOT NULL,
    reason   text NOT NULL,
    detail   text NOT NULL,
    payload  bytea NOT NULL,
    noted_at timestamptz NOT NULL
);

CREATE TABLE settings (
    id         integer PRIMARY KEY CHECK (id = 1),
    value      text NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE access_keys (
    id           text PRIMARY KEY,
    name         text NOT NULL,
    hash         bytea NOT NULL,
    hint         text NOT NULL,
    scopes       text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

-- +goose Down
DROP TABLE access_keys;
DROP TABLE settings;
DROP TABLE dead_letters;
DROP TABLE receipts;
DROP TABLE tombstones;
DROP TABLE cursors;
