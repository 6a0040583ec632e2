-- +goose Up
-- Fixed-width columns first, so that no row is padded. Ids compare by bytes, as on DuckDB.
-- Properties and metadata are json, not jsonb: key order and numbers stay as they came.
CREATE TABLE events (
    ts           timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    processed_at timestamptz,
    sample_rate  double precision NOT NULL,
    processed    boolean NOT NULL,
    event_id     text COLLATE "C" PRIMARY KEY,
    event_name   text NOT NULL,
    event_type   text NOT NULL,
    severity     text NOT NULL,
    user_id      text,
    anonymous_id text,
    session_id   text,
    source       text,
    user_agent   text,
    ip_address   text,
    referrer     text,
    timezone     text,
    properties   json,
    metadata     json,
    tags         jsonb
);
CREATE INDEX events_ts ON events (ts);
CREATE INDEX events_user_ts ON events (user_id, ts) WHERE user_id IS NOT NULL;

-- +goose Down
DROP TABLE events;
