// Package embedded runs the whole service inside another Go program: the same journal, database,
// alerts and API as the program tidemark, without a second process and without a port.
//
//	service, err := embedded.Start(ctx, embedded.Config{DataDir: "analytics", Trusted: true})
//	...
//	mux.Handle("/api/analytics/", onlyForStaff(service.Handler()))
//	defer service.Stop(ctx)
//
// It promises what the service promises: an event that was answered with a 2xx is on disk and is
// stored exactly once, also when the host dies. It sets nothing that belongs to the host: no global
// of OpenTelemetry, no default logger, no signal handler, no memory limit. Set GOMEMLIMIT where the
// host runs under full load.
//
// Linking it links DuckDB, which takes cgo and a C++ compiler, and makes the host about 190 MB
// larger, 145 MB when stripped. Who only sends events wants the client instead.
package embedded
