package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Matrix is what became of all tickets that were offered, by the address that
// gave them and the one that they were offered at.
type Matrix struct {
	Addresses []string `json:"addresses"`
	Nodes     []string `json:"nodes"` // as they call themselves; "" before they were met
	Cells     [][]Cell `json:"cells"` // [from][at]
	Links     []Link   `json:"links"` // by address
	Misses    []string `json:"misses"`
	Oldest    float64  `json:"oldest_seconds"` // of the tickets that resumed
}

// Cell counts tickets.
type Cell struct {
	Resumed int `json:"resumed"`
	Missed  int `json:"missed"`
	Due     int `json:"due"` // not taken, and rightly so
}

// Link counts connections to an address.
type Link struct {
	Made    int `json:"made"`
	Refused int `json:"refused"` // nobody was there
	Broken  int `json:"broken"`  // somebody was, and it ended too early
}

// Green reports whether every pair has resumed, and nothing was missed.
func (m Matrix) Green() bool {
	for _, row := range m.Cells {
		for _, c := range row {
			if c.Resumed == 0 || c.Missed > 0 {
				return false
			}
		}
	}
	return len(m.Cells) > 0
}

// Total adds up all cells.
func (m Matrix) Total() (t Cell) {
	for _, row := range m.Cells {
		for _, c := range row {
			t.Resumed += c.Resumed
			t.Missed += c.Missed
			t.Due += c.Due
		}
	}
	return t
}

// Print writes the matrix as a table: how many resumed of those that should.
func (m Matrix) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ticket from\t")
	for _, a := range m.Addresses {
		fmt.Fprintf(w, "at %s\t", a)
	}
	fmt.Fprintln(w)
	for i, row := range m.Cells {
		fmt.Fprintf(w, "%s\t", m.Addresses[i])
		for _, c := range row {
			fmt.Fprintf(w, "%d/%d\t", c.Resumed, c.Resumed+c.Missed)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	t, l := m.Total(), Link{}
	for _, one := range m.Links {
		l.Refused += one.Refused
		l.Broken += one.Broken
	}
	fmt.Fprintf(out, "%d of %d tickets resumed, %d missed; %d ended by a revoke or a cut; connections: %d refused, %d broken\n",
		t.Resumed, t.Resumed+t.Missed, t.Missed, t.Due, l.Refused, l.Broken)
}

// Since returns what has become of tickets and connections after an earlier matrix.
func (m Matrix) Since(then Matrix) Matrix {
	if len(then.Cells) != len(m.Cells) {
		return m
	}
	now := m
	now.Cells, now.Links = nil, nil
	for i, l := range m.Links {
		was := then.Links[i]
		now.Links = append(now.Links, Link{l.Made - was.Made, l.Refused - was.Refused, l.Broken - was.Broken})
	}
	for i, row := range m.Cells {
		var cells []Cell
		for j, c := range row {
			was := then.Cells[i][j]
			cells = append(cells, Cell{c.Resumed - was.Resumed, c.Missed - was.Missed, c.Due - was.Due})
		}
		now.Cells = append(now.Cells, cells)
	}
	return now
}
