-- +goose Up
-- How many events the users with the most events have by hour and day (width, in seconds). The rows
-- of a bucket and user add up, as in rollups. Only so many users of a bucket are kept; the row
-- without a user says how many events each user may have more than its rows say, whether it has
-- rows or none.
CREATE TABLE rollup_users (
    bucket  timestamptz NOT NULL,
    events  bigint NOT NULL,
    width   integer NOT NULL,
    fresh   boolean NOT NULL,
    user_id text
);

INSERT INTO rollup_missing (day)
SELECT DISTINCT date_trunc('day', ts) FROM events
WHERE date_trunc('day', ts) NOT IN (SELECT day FROM rollup_missing)
    AND date_trunc('day', ts) >= (SELECT events_from FROM rollup_state);

-- +goose Down
DROP TABLE rollup_users;
