package httpapi

import (
	"context"
	"net/http"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// SQL answers read-only SELECT statements.
type SQL interface {
	Select(ctx context.Context, sql string, limit int) (store.Table, error)
}

// QueryAnswer is the answer of GET /query.
type QueryAnswer struct {
	Columns   []string `json:"columns" nullable:"false"`
	Rows      [][]any  `json:"rows" nullable:"false"`
	Truncated bool     `json:"truncated" doc:"True where there were more rows, or more than 8 MiB of them"`
}

type (
	sqlInput struct {
		SQL   string `query:"sql" required:"true" doc:"One SELECT statement over the table events, in DuckDB's words"`
		Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	}
	sqlOutput struct{ Body QueryAnswer }
)

func (s *Server) registerSQL() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/query", scope: access.Admin},
		id: "query", tag: "questions", summary: "Read-only SQL on the embedded database",
		detail: "One SELECT that reads from events alone: no other tables, files or settings. It may take 10 seconds. On PostgreSQL it answers 404.",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.query)
}

func (s *Server) query(ctx context.Context, in *sqlInput) (*sqlOutput, error) {
	var p params
	sql := p.text("sql", in.SQL)
	if sql == "" {
		p.fail("sql", "is required")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	t, err := s.deps.SQL.Select(ctx, sql, in.Limit)
	if err != nil {
		return nil, err
	}
	return &sqlOutput{Body: QueryAnswer{Columns: t.Columns, Rows: t.Rows, Truncated: t.Truncated}}, nil
}
