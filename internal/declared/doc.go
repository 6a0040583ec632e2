// Package declared is what the configuration says about the properties of events: which are worth
// breaking down by, which are numbers worth sums and percentiles, and which events become metrics.
//
//	Config ─▶ New ─▶ Set ─▶ Reader: event ─▶ values of its dimensions, its numbers
//
// It promises that a Set is bounded in everything: dimensions, numbers, metrics, the values that a
// dimension keeps apart, and the series that all metrics together may ever have; that no two
// metrics share a name in any format they are exported in, nor one with the service's own metrics;
// and that an event of which nothing is declared costs one look-up of its name. An event's
// properties are read once, whatever is declared of them.
package declared
