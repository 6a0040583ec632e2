-- +goose Up
-- External services that events go on to. The configuration is JSON and holds the secrets: they
-- are needed as they are.
CREATE TABLE destinations (
    name       text PRIMARY KEY,
    config     text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- How far each journal stream is delivered, and when the message there was written.
CREATE TABLE destination_cursors (
    destination text NOT NULL,
    stream      text NOT NULL,
    seq         bigint NOT NULL,
    written_at  timestamptz NOT NULL,
    PRIMARY KEY (destination, stream)
);

-- What is to be delivered beside the journal, and how far it is.
CREATE TABLE destination_replays (
    id          text PRIMARY KEY,
    destination text NOT NULL,
    stream      text NOT NULL,
    what        text NOT NULL,
    from_at     timestamptz NOT NULL,
    to_at       timestamptz NOT NULL,
    after_at    timestamptz NOT NULL,
    after_id    text NOT NULL
);

-- Events that a destination refused for good, whole.
CREATE TABLE destination_dead_letters (
    id          text PRIMARY KEY,
    destination text NOT NULL,
    event_id    text NOT NULL,
    user_id     text NOT NULL,
    payload     bytea NOT NULL,
    detail      text NOT NULL,
    noted_at    timestamptz NOT NULL
);

-- +goose Down
DROP TABLE destination_dead_letters;
DROP TABLE destination_replays;
DROP TABLE destination_cursors;
DROP TABLE destinations;
