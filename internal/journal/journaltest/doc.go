// Package journaltest proves that a journal keeps its promises, whatever JetStream is behind it:
// one suite, run on the embedded one and on a real cluster of three servers.
package journaltest
