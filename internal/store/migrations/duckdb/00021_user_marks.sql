-- +goose Up
-- A mark has 32 bits, so that hardly a user has that of another: the first of SHA-256 of the user's id, 0
-- where there is none. Rows from before get theirs here.
ALTER TABLE events ALTER user_mark TYPE uinteger
    USING CASE WHEN user_id IS NULL THEN 0 ELSE ('0x' || left(sha256(user_id), 8))::uinteger END;

-- +goose Down
ALTER TABLE events ALTER user_mark TYPE usmallint USING NULL;
