-- +goose Up
-- Totals of metrics made from events, one row a series and journal stream. The labels are a JSON
-- list of their values, the buckets one of their counts.
CREATE TABLE projections (
    stream     text NOT NULL,
    metric     text NOT NULL,
    labels     text NOT NULL,
    events     bigint NOT NULL,
    total      double precision NOT NULL,
    buckets    text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (stream, metric, labels)
);

-- +goose Down
DROP TABLE projections;
