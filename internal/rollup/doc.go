// Package rollup holds what is kept of many events at once: how often a declared dimension has each
// value, what a declared number is about, and how many different users or sessions there are. All are
// small, can be put together, and are written as a few bytes.
//
// It promises that putting together is the same in any order and in any parts: what comes out
// speaks for all events that went in. Values that are beyond a dimension's budget are counted
// together, and of each value it is known how many events may be missing from its count: none as
// long as nothing was put away. Percentiles of numbers are within Accuracy; the rest about them is
// exact. How many ids there are is within IDsBound.
package rollup
