// Package alerts holds the alert rules that come with the program. The files run unchanged in
// Prometheus and in the service itself.
package alerts

import "embed"

// Files are the rule files.
//
//go:embed *.rules.yaml
var Files embed.FS
