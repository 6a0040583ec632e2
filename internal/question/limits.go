package question

import "time"

// What a question may ask for at most.
const (
	MaxConditions = 20     // of one where
	MaxList       = 100    // values of one in
	MaxText       = 1000   // characters of a value, as long as a property's value can be
	MaxSegments   = 8      // of a property's path, as deep as properties can be
	MaxSegment    = 100    // characters of one segment, as long as a key can be
	MaxBuckets    = 5_000  // of a series
	MaxPoints     = 50_000 // of all series of an answer
	MaxGroups     = 100    // named groups of a series or breakdown
	DefaultGroups = 10
	MaxSteps      = 10 // of a funnel
	MaxPeriods    = 60 // of a retention table after the first, and cohorts 10 times that
	MaxCohorts    = 600
	MaxDepth      = 5 // of a path
	MaxSpan       = 10 * 366 * 24 * time.Hour
	DefaultSpan   = 30 * 24 * time.Hour
	MaxWindow     = 366 * 24 * time.Hour // of a funnel
	MaxGap        = 24 * time.Hour       // of sessions
)
