// Package transfer carries events between services and files: NDJSON, CSV and Parquet, in and out.
//
//	Source ─▶ Writer ─▶ Output      a file that a killed export goes on with
//	Reader ─▶ Import ─▶ Intake      rows in order, chunks side by side, a state to go on from
//
// All three forms have the same fields, under the names of an event's JSON, and keep every one of
// them exactly; empty means absent. It promises memory that does not grow with the number of
// events; that a row which cannot be read costs only itself; and that an export or import which was
// killed and is started again neither loses nor doubles an event. For that every row has an id: one
// that comes without gets one made of its text and its place, the same in every attempt.
package transfer
