-- +goose Up
-- How many ids each sketch has, so that it need not be read where it is all that is asked for; NULL
-- in rows from before. Of times of 8 and 32 days that are over there may also be rows (width, in
-- seconds) with the ids of all their days: for all events one, and for each name one. Where they are
-- not there, the days are read.
ALTER TABLE rollup_ids ADD COLUMN users_n bigint;
ALTER TABLE rollup_ids ADD COLUMN sessions_n bigint;

-- +goose Down
-- In one transaction a table can lose rows or columns, but not both.
CREATE TEMP TABLE kept AS SELECT bucket, width, fresh, lost, event_name, users, sessions FROM rollup_ids WHERE width <= 86400;
DROP TABLE rollup_ids;
CREATE TABLE rollup_ids (
    bucket     timestamptz NOT NULL,
    width      integer NOT NULL,
    fresh      boolean NOT NULL,
    lost       bigint NOT NULL,
    event_name text, -- NULL = of all events
    users      blob NOT NULL,
    sessions   blob NOT NULL
);
INSERT INTO rollup_ids SELECT * FROM kept;
DROP TABLE kept;
