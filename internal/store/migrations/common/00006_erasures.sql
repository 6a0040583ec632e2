-- +goose Up
-- Persons who were erased, by a hash of their id: what was received of them until then is not
-- stored any more, and with refuse, nothing ever.
CREATE TABLE erasures (
    id           text PRIMARY KEY,
    person       bytea NOT NULL,
    refuse       boolean NOT NULL,
    requested_at timestamptz NOT NULL,
    events       bigint NOT NULL,
    dead_letters bigint NOT NULL,
    late         bigint NOT NULL,
    journal_at   timestamptz,
    compacted_at timestamptz
);

-- +goose Down
DROP TABLE erasures;
