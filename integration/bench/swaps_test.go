package main

import (
	"testing"
	"time"
)

// TestSwaps has two nodes of which one skips a version.
func TestSwaps(t *testing.T) {
	s := newSwaps(2)
	s.swap(0, 7)
	if want := s.expect(); want != 8 {
		t.Fatalf("expect() = %d, want 8", want)
	}
	before := time.Now()
	s.swap(1, 7) // late
	if _, _, err := s.wait(t.Context(), time.Millisecond); err == nil {
		t.Fatal("nobody has version 8, and wait does not say so")
	}
	s.swap(1, 9)
	s.swap(1, 10)
	if _, _, err := s.wait(t.Context(), time.Millisecond); err == nil {
		t.Fatal("one node lacks version 8, and wait does not say so")
	}
	s.swap(0, 8)
	first, last, err := s.wait(t.Context(), time.Minute)
	if err != nil || !before.Before(first) || !first.Before(last) {
		t.Errorf("wait = %v, %v, %v; want the first swap and then the last one", first, last, err)
	}
}

func TestPercentiles(t *testing.T) {
	var s sample
	for i := range 20 {
		s = append(s, float64(20-i))
	}
	for q, want := range map[int]float64{0: 1, 50: 10, 95: 19, 100: 20} {
		if got := s.at(q); got != want {
			t.Errorf("of 1 to 20 at(%d) = %v, want %v", q, got, want)
		}
	}
	if got := s[:5].at(95); got != 20 {
		t.Errorf("of 16 to 20 at(95) = %v, want the largest", got)
	}
}

// TestPrintChangesNothing holds what is printed apart from what is written as JSON.
func TestPrintChangesNothing(t *testing.T) {
	b := newBench(true)
	table := b.table("T", "a", "b")
	table.row("a long cell", 1.0)
	table.print()
	if table.Columns[0] != "a" || table.Rows[0][1] != 1.0 {
		t.Errorf("after it was printed the table is %+v", table)
	}
}
