package app

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Duration is a time span written as in 1m30s. It is a type of its own so that a faulty one is
// reported with its line.
type Duration time.Duration

// UnmarshalYAML reads a scalar as time.ParseDuration does.
func (d *Duration) UnmarshalYAML(n ast.Node) error {
	t := n.GetToken()
	v, err := time.ParseDuration(t.Value)
	if err != nil {
		return fmt.Errorf("[%d:%d] not a duration as 30s or 1h30m", t.Position.Line, t.Position.Column)
	}
	*d = Duration(v)
	return nil
}
