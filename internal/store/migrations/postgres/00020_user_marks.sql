-- +goose Up
-- Which user had an event when, so that a list of one user's events need not look for them: of each
-- event with a user 32 bits of a hash of the user's id and the time within the day, in 9 bytes. What
-- a transaction stores of a day is a set, in as many rows as it is large: node is 1, followed by the
-- first bits of the hashes in the row. A few sets of a size are put together later. Of what is
-- deleted marks may stay.
CREATE TABLE user_marks (
    day    timestamptz NOT NULL,
    set_id bigint NOT NULL,
    node   integer NOT NULL,
    marks  bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
ALTER TABLE user_marks ALTER COLUMN marks SET STORAGE EXTERNAL; -- hashes cannot be compressed
CREATE INDEX user_marks_node ON user_marks (node, day);
CREATE INDEX user_marks_set ON user_marks (day, set_id);
-- Every set has the row that comes first in its size.
CREATE INDEX user_marks_sets ON user_marks (day, node, set_id) WHERE node & (node - 1) = 0;

-- Days with events that were stored before there were marks. Until they are filled in the background,
-- lists of users are read without.
CREATE TABLE user_marks_missing (day timestamptz PRIMARY KEY);

-- What is being stored at this moment comes to an end first, and counts as stored before.
LOCK TABLE events IN SHARE MODE;
INSERT INTO user_marks_missing (day)
SELECT generate_series(date_trunc('day', first), date_trunc('day', last), interval '1 day')
FROM (SELECT min(ts) AS first, max(ts) AS last FROM events) AS stored
WHERE first IS NOT NULL;

-- +goose Down
DROP TABLE user_marks_missing;
DROP TABLE user_marks;
