// Package kafkatest runs a broker that speaks Kafka's protocol inside a test.
//
// It promises: while the broker is away, every connection to it is closed, old and new, and what it
// has stays; it ends with the test.
package kafkatest
