package event

// Performance is the short form of one timed operation.
type Performance struct {
	Operation     string   // what was timed; becomes the event's name
	DurationMS    float64  // milliseconds
	MemoryUsageMB *float64 // mebibytes; nil = unknown, like the others
	CPUPercent    *float64
	Success       *bool
	ErrorMessage  string
}

// Event returns the operation_timing event: severity high where the operation took longer
// than slowMS milliseconds. The caller fills in who and when.
func (p *Performance) Event(slowMS float64) Event {
	e := base(p.Operation, OperationTiming)
	if p.DurationMS > slowMS {
		e.Severity = High
	}
	var o objectWriter
	o.text("operation", p.Operation)
	o.number("duration_ms", &p.DurationMS)
	o.number("memory_usage_mb", p.MemoryUsageMB)
	o.number("cpu_percent", p.CPUPercent)
	o.boolean("success", p.Success)
	o.text("error_message", p.ErrorMessage)
	e.Properties = o.object()
	return e
}
