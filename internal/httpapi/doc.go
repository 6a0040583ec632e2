// Package httpapi is the service's own HTTP API: the doors events come in through and the
// answers about them, under /api/analytics, with health, readiness, metrics and OpenAPI beside.
//
//	request ─▶ id, clock ─▶ timing, log ─▶ panic guard ─▶ route ─▶ access ─▶ body limits ─▶ handler
//	                                                                                 │
//	         X-Request-ID, X-Response-Time ◀── answer or RFC 9457 problem ◀── error kind
//
// It promises: a 2xx on an event means that the pipeline has it on disk; every response bears
// X-Request-ID and X-Response-Time; every failure is a problem document that repeats no value,
// SQL or stack trace; whatever a client sends is answered with a 4xx or 503, in bounded memory.
//
// High-rate doors and everything else with a request body are plain handlers over one bounded
// body reader; what only reads goes through huma. All of them stand in one OpenAPI document,
// made from the code.
package httpapi

//go:generate go test -vet=off . -run TestOpenAPI$ -count=1 -update
