-- +goose Up
-- No key and no index: see doc.go. JSON is kept as the text it came as.
CREATE TABLE events (
    ts           timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    processed_at timestamptz,
    sample_rate  double NOT NULL,
    processed    boolean NOT NULL,
    event_id     text NOT NULL,
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
    properties   text,
    metadata     text,
    tags         text
);

-- +goose Down
DROP TABLE events;
