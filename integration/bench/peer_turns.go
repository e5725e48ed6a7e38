package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"slices"
	"sync"
	"time"
)

// turn is one rotation of a fleet of Caddy's.
type turn struct {
	due    time.Time // as the record before it says
	commit time.Time // just before the record is stored
	got    []time.Time
}

// turns is what a fleet has done. The first turn made the first record.
type turns struct {
	nodes int

	mu   sync.Mutex // guards the rest
	all  []*turn
	due  time.Time
	made map[[32]byte]int // which turn a key is of
}

func newTurns(nodes int) *turns { return &turns{nodes: nodes, made: map[[32]byte]int{}} }

// commit notes a record that is about to be stored.
func (t *turns) commit(value []byte) error {
	now := time.Now()
	var record struct {
		Keys                       [][32]byte
		LastRotation, NextRotation time.Time
	}
	if err := gob.NewDecoder(bytes.NewReader(value)).Decode(&record); err != nil {
		return fmt.Errorf("a record of Caddy's: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[record.Keys[0]] = len(t.all)
	t.all = append(t.all, &turn{due: t.due, commit: now, got: make([]time.Time, t.nodes)})
	t.due = record.NextRotation
	return nil
}

// swap notes that an instance has keys. If it has missed a turn, it has the keys
// of that now too.
func (t *turns) swap(node int, newest [32]byte) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.made[newest]; i >= 0 && t.all[i].got[node].IsZero(); i-- {
		t.all[i].got[node] = now
	}
}

// count returns the number of rotations that were committed.
func (t *turns) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all) - 1
}

// complete reports whether all instances but those that are excused have the keys
// of a turn.
func (t *turns) complete(turn int, excused func(node int) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if turn >= len(t.all) {
		return false
	}
	for node, at := range t.all[turn].got {
		if at.IsZero() && !excused(node) {
			return false
		}
	}
	return true
}

// swapTimes are durations in milliseconds, one of each for every turn.
type swapTimes struct {
	First, Last, FromDue sample // from commit, from commit, and of the last
}

// times returns those of n turns after the first ones, and of none that nobody has.
func (t *turns) times(after, n int) (s swapTimes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, turn := range t.all[min(after, len(t.all)):min(after+n, len(t.all))] {
		got := slices.DeleteFunc(slices.Clone(turn.got), time.Time.IsZero)
		if len(got) == 0 {
			continue
		}
		first, last := slices.MinFunc(got, time.Time.Compare), slices.MaxFunc(got, time.Time.Compare)
		s.First = append(s.First, ms(first.Sub(turn.commit)))
		s.Last = append(s.Last, ms(last.Sub(turn.commit)))
		s.FromDue = append(s.FromDue, ms(last.Sub(turn.due)))
	}
	return s
}
