-- +goose Up
CREATE INDEX alert_history_noted ON alert_history (noted_at);

-- +goose Down
DROP INDEX alert_history_noted;
