package app

import (
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a time span written as in 1m30s. It is a type of its own so that a faulty one is
// reported with its line.
type Duration time.Duration

// UnmarshalYAML reads a scalar as time.ParseDuration does, with days before everything else.
func (d *Duration) UnmarshalYAML(n ast.Node) error {
	t := n.GetToken()
	v, err := parseDuration(t.Value)
	if err != nil {
		return &yaml.SyntaxError{Message: "wants a duration as 30s, 1h30m or 90d", Token: t}
	}
	*d = Duration(v)
	return nil
}

// parseDuration also knows days of 24 hours, as in 90d or 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil || rest == "" {
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(rest)
	return time.Duration(n)*24*time.Hour + d, err
}
