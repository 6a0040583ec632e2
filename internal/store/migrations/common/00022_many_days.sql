-- +goose Up
-- Of a declared number there may also be rows of times of 8 and 32 days that are over (width, in
-- seconds), one for all events and one for each name, with what their days have together. An older
-- program that changes days leaves them as they were.
DELETE FROM rollup_values WHERE width > 86400;

-- Sketches of many days are written anew, in less room.
DELETE FROM rollup_ids WHERE width > 86400;

-- +goose Down
DELETE FROM rollup_values WHERE width > 86400;
DELETE FROM rollup_ids WHERE width > 86400;
