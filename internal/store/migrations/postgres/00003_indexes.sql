-- +goose Up
CREATE INDEX tombstones_event ON tombstones (event_id);
CREATE INDEX receipts_event ON receipts (event_id);
CREATE INDEX receipts_noted ON receipts USING brin (noted_at);
CREATE INDEX dead_letters_event ON dead_letters (event_id);

-- +goose Down
DROP INDEX dead_letters_event;
DROP INDEX receipts_noted;
DROP INDEX receipts_event;
DROP INDEX tombstones_event;
