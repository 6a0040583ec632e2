// Package settings has what may be changed while the service runs (POST /api/analytics/config).
//
//	initial (file, environment, flags)  ─┐
//	kept (what was changed at run time) ─┴▶ Manager.Current, lock-free
//
// It promises: a change is validated whole before any of it applies, and kept in the database
// before it applies, so that it survives a restart; a change made by another replica is seen
// within seconds. Only what was changed at run time is kept, so a new configuration file
// still decides everything else.
package settings
