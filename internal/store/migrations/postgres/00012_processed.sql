-- +goose Up
-- Lists of processed events, which may be few and far back. Events come in unprocessed, so that
-- storing them does not touch it.
CREATE INDEX events_processed ON events (ts) WHERE processed;

-- +goose Down
DROP INDEX events_processed;
