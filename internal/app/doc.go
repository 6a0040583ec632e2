// Package app is the service as a library: it wires the rooms, starts them in order, stops them
// in reverse, joins every goroutine and every error.
//
//	a, err := app.New(cfg, logger)   // nothing is touched yet
//	err = a.Start(ctx)               // listens when it returns
//	err = a.Stop(ctx)                // drained and closed when it returns
package app

//go:generate go test -vet=off . -run TestMetricsCatalogue$ -count=1 -update
