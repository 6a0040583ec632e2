package alerts

import "embed"

// Files holds the shipped rule files by their names, such as "tidemark.rules.yaml".
//
//go:embed *.rules.yaml
var Files embed.FS
