package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if _, _, child := asChild(); child {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSections measures everything once in small, and holds the pages with the
// figures to it: they have each table, with the columns that it has.
func TestSections(t *testing.T) {
	var pages string
	for _, page := range []string{"reference/benchmarks.md", "explanation/scale.md"} {
		b, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		pages += string(b)
	}
	b := newBench(true)
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			had := len(b.result.Tables)
			if err := s.run(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			for _, table := range b.result.Tables[had:] {
				table.print()
				if len(table.Rows) == 0 {
					t.Errorf("table %q is empty", table.Name)
				}
				_, after, found := strings.Cut(pages, "### "+table.Name+"\n")
				_, header, _ := strings.Cut(after, "|")
				header, _, _ = strings.Cut(header, "|\n")
				var columns []string
				for column := range strings.SplitSeq(header, "|") {
					columns = append(columns, strings.TrimSpace(column))
				}
				if !found || !slices.Equal(columns, table.Columns) {
					t.Errorf("the page has table %q with %q, want %q", table.Name, columns, table.Columns)
				}
			}
		})
	}
}
