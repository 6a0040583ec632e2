-- +goose Up
-- What the service took in between two times: a destination that fell behind asks for it a page at a
-- time. Events come in nearly in that order, so that a few bytes for 128 pages are enough, and the
-- pages at the end of the table, where events are stored, have none yet.
CREATE INDEX events_received ON events USING brin (received_at) WITH (autosummarize = on);

-- +goose Down
DROP INDEX events_received;
