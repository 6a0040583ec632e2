-- +goose Up
-- How many ids each sketch has, so that it need not be read where it is all that is asked for; NULL
-- in rows from before. Of times of 8 and 32 days that are over there may also be rows (width, in
-- seconds) with the ids of all their days: for all events one, and for each name one. Where they are
-- not there, the days are read.
ALTER TABLE rollup_ids ADD COLUMN users_n bigint;
ALTER TABLE rollup_ids ADD COLUMN sessions_n bigint;

-- Sketches are dense already: to compress them costs more time than it saves room.
ALTER TABLE rollup_ids ALTER COLUMN users SET STORAGE EXTERNAL;
ALTER TABLE rollup_ids ALTER COLUMN sessions SET STORAGE EXTERNAL;

-- The rows about all events, one in as many as there are names.
CREATE INDEX rollup_ids_all ON rollup_ids (width, bucket) WHERE event_name IS NULL AND NOT fresh;

-- +goose Down
DELETE FROM rollup_ids WHERE width > 86400;
DROP INDEX rollup_ids_all;
ALTER TABLE rollup_ids ALTER COLUMN users SET STORAGE EXTENDED;
ALTER TABLE rollup_ids ALTER COLUMN sessions SET STORAGE EXTENDED;
ALTER TABLE rollup_ids DROP COLUMN sessions_n;
ALTER TABLE rollup_ids DROP COLUMN users_n;
