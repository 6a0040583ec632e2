package event

import "runtime"

// turnEvents are worked on at a stretch.
const turnEvents = 10

// Turn is called at the i-th of many events, from 0, by whoever works on them, and now and then lets
// others run. Otherwise work on thousands of events keeps its processor until the scheduler takes it,
// after 10 ms, and a question, which goes on after each answer of the database, waits for that every time.
func Turn(i int) {
	if i%turnEvents == turnEvents-1 {
		runtime.Gosched()
	}
}
