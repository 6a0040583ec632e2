// Package pending pins the libraries of parts that are being built; it goes when they are in use.
package pending

import (
	_ "github.com/prometheus/alertmanager/dispatch"
	_ "github.com/prometheus/alertmanager/nflog"
	_ "github.com/prometheus/alertmanager/notify"
	_ "github.com/prometheus/alertmanager/notify/email"
	_ "github.com/prometheus/alertmanager/notify/slack"
	_ "github.com/prometheus/alertmanager/notify/webhook"
	_ "github.com/prometheus/alertmanager/provider/mem"
	_ "github.com/prometheus/alertmanager/silence"
	_ "github.com/prometheus/prometheus/notifier"
	_ "github.com/prometheus/prometheus/storage/remote"
)
