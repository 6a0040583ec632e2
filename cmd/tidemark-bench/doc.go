//go:build linux

// Command tidemark-bench measures Tidemark beside the raw limits of the machine it runs on, in one
// run: the store's own batch insert without a service around it, events stored and accepted over
// HTTP, latencies beside the disk's own fsync and beside the same door without a journal, memory,
// and bytes on disk; what is asked about events of 90 days, beside the same as raw SQL, of all of them
// and of a tenth, directly after they came in, at rest and during full load, and moving those events;
// how fast events go on to a receiver, and what five of them cost who stores; what evaluating alert
// rules costs, beside a real Prometheus; and what the Go client costs an application. It prints a
// table, and JSON on request, with every target passed or missed.
//
//	go run ./cmd/tidemark-bench -tidemark bin/tidemark -db duckdb,postgres -json out.json
//	go run ./cmd/tidemark-bench -tidemark bin/tidemark -short -events 200000
//	go run ./cmd/tidemark-bench -tidemark bin/tidemark -only questions -past 1000000
//	go run ./cmd/tidemark-bench -tidemark bin/tidemark -db none -only client
//	go run ./cmd/tidemark-bench -tidemark bin/tidemark -db duckdb -only destinations
//
// The load generator and the service share the machine. The generator is one thread with an epoll
// loop over raw connections; its requests are encoded once, and before each sending only ids,
// times, users, sessions, paths and numbers are written over in place. What it takes of the processors is
// part of the result.
//
// The figures can be checked without it. Against a service started with "make run":
//
//	body='{"event":"checkout_started","user_id":"user-000042","properties":{"plan":"team","amount":12.5}}'
//	curl -s -d "$body" -H 'Content-Type: application/json' http://127.0.0.1:8080/api/analytics/track
//	curl -s http://127.0.0.1:8080/api/analytics/ledger
//
// singly at 64 connections, the service making the ids:
//
//	printf 'wrk.method="POST"; wrk.headers["Content-Type"]="application/json"; wrk.body=[[%s]]' "$body" > one.lua
//	wrk -t1 -c64 -d10s --latency -s one.lua http://127.0.0.1:8080/api/analytics/track
//
// in batches of 100: the same with wrk.body a list of 100 of them and the path /api/analytics/batch-track,
// asking the ledger until pending is 0. The disk's own fsync:
//
//	fio --name=fsync --directory=/var/tmp --rw=write --bs=4k --size=8m --fdatasync=1
package main
