// Package leaktest finds goroutines that tests leave behind. goleak alone gives those that are about
// to end less than half a second, which a machine with other work may not have for them.
package leaktest
