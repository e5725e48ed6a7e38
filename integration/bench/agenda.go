package main

import "container/heap"

// station serves jobs in the order in which they come, on one or more lanes.
type station struct{ free []float64 }

func newStation(lanes int) *station { return &station{make([]float64, lanes)} }

// serve returns when a job that comes at a time is done. Jobs come in order.
func (s *station) serve(at, work float64) float64 {
	soonest := 0
	for i, free := range s.free {
		if free < s.free[soonest] {
			soonest = i
		}
	}
	s.free[soonest] = max(at, s.free[soonest]) + work
	return s.free[soonest]
}

// event is something that happens at a time.
type event struct {
	at float64
	do func(at float64)
}

// agenda is events, the next one first.
type agenda []event

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(e any)        { *a = append(*a, e.(event)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	*a = (*a)[:last]
	return e
}

func (a *agenda) add(at float64, do func(at float64)) { heap.Push(a, event{at, do}) }

// next has the next event happen.
func (a *agenda) next() {
	e := heap.Pop(a).(event)
	e.do(e.at)
}

func (a *agenda) run() {
	for len(*a) > 0 {
		a.next()
	}
}
