-- +goose Up
-- A mark has 32 bits of the hash, so that hardly a user has that of another. NULL in rows from before:
-- a function here could not be found when the log is replayed.
ALTER TABLE events ALTER user_mark TYPE uinteger USING NULL;

-- +goose Down
ALTER TABLE events ALTER user_mark TYPE usmallint USING NULL;
