// Package pending pins the libraries of parts that are being built; it goes when they are in use.
package pending

import (
	_ "github.com/prometheus/prometheus/notifier"
	_ "github.com/prometheus/prometheus/storage/remote"
)
