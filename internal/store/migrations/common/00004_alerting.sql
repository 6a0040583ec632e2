-- +goose Up
-- What each replica knows of the alerts that are active, or have ended and were not told everywhere.
CREATE TABLE active_alerts (
    fingerprint   text NOT NULL,
    source        text NOT NULL,
    labels        text NOT NULL,
    annotations   text NOT NULL,
    generator_url text NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    resolved      boolean NOT NULL,
    updated_at    timestamptz NOT NULL,
    noted         text NOT NULL,
    PRIMARY KEY (fingerprint, source)
);

-- What a receiver was told last about a group of alerts.
CREATE TABLE notification_log (
    receiver  text NOT NULL,
    group_key text NOT NULL,
    firing    text NOT NULL,
    resolved  text NOT NULL,
    sent_at   timestamptz NOT NULL,
    PRIMARY KEY (receiver, group_key)
);

CREATE TABLE silences (
    id         text PRIMARY KEY,
    matchers   text NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    created_by text NOT NULL,
    comment    text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE alert_history (
    noted_at    timestamptz NOT NULL,
    what        text NOT NULL,
    fingerprint text NOT NULL,
    alertname   text NOT NULL,
    labels      text NOT NULL,
    receiver    text NOT NULL,
    detail      text NOT NULL
);

-- Who does what only one replica may do, until when by the database's clock. The term grows with
-- each change of hands.
CREATE TABLE offices (
    name    text PRIMARY KEY,
    holder  text NOT NULL,
    term    bigint NOT NULL,
    ends_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE offices;
DROP TABLE alert_history;
DROP TABLE silences;
DROP TABLE notification_log;
DROP TABLE active_alerts;
