package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench collects what is measured.
type bench struct {
	quick  bool
	nodes  []string        // sizes of fleets; nil is all
	ours   map[int]float64 // ms from due time to the last swap at N nodes, at p50
	scale  *scaled         // what the section scale has measured, if it has
	result result
}

// wants reports whether fleets of n nodes are to be measured.
func (b *bench) wants(n int) bool { return b.nodes == nil || slices.Contains(b.nodes, strconv.Itoa(n)) }

// result is one run, as it is written to a file.
type result struct {
	Date   string   `json:"date"`
	Go     string   `json:"go"`
	System string   `json:"system"`
	CPU    string   `json:"cpu"`
	CPUs   int      `json:"cpus"`
	Etcd   string   `json:"etcd"`
	Caddy  string   `json:"caddy"`
	Quick  bool     `json:"quick"`
	Tables []*table `json:"tables"`
}

func newBench(quick bool) *bench {
	return &bench{quick: quick, ours: map[int]float64{}, result: result{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(),
		System: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpu(), CPUs: runtime.NumCPU(), Quick: quick,
		Etcd: linked("go.etcd.io/etcd/server/v3"), Caddy: linked("github.com/caddyserver/caddy/v2"),
	}}
}

// linked is the version of a module in this program.
func linked(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return ""
}

// cpu is what Linux calls the processor.
func cpu() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, name, _ := strings.Cut(string(info), "model name\t: ")
	name, _, _ = strings.Cut(name, "\n")
	return name
}

// say tells whoever waits how far it is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// of returns full, or in a quick run quick.
func of[T any](b *bench, full, quick T) T {
	if b.quick {
		return quick
	}
	return full
}

func (b *bench) write(file string) error {
	out, err := json.MarshalIndent(b.result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(out, '\n'), 0o644)
}

// table is one kind of figures. A cell is a string, a whole number, or a figure
// with a unit in its column's name.
type table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

func (b *bench) table(name string, columns ...string) *table {
	t := &table{Name: name, Columns: columns}
	b.result.Tables = append(b.result.Tables, t)
	return t
}

func (t *table) row(cells ...any) {
	if len(cells) != len(t.Columns) {
		panic(fmt.Sprintf("table %s: %d cells for %d columns", t.Name, len(cells), len(t.Columns)))
	}
	for i, cell := range cells {
		if f, is := cell.(float64); is && (math.IsNaN(f) || math.IsInf(f, 0)) {
			cells[i] = "-" // JSON has no word for it either
		}
	}
	t.Rows = append(t.Rows, cells)
}

// print prints the table in Markdown.
func (t *table) print() {
	lines := [][]string{slices.Clone(t.Columns), make([]string, len(t.Columns))}
	for _, row := range t.Rows {
		var line []string
		for _, cell := range row {
			if f, is := cell.(float64); is {
				cell = short(f)
			}
			line = append(line, fmt.Sprint(cell))
		}
		lines = append(lines, line)
	}
	fmt.Printf("\n### %s\n\n", t.Name)
	for i, line := range lines {
		for column := range line {
			width := 3
			for _, l := range lines {
				width = max(width, len([]rune(l[column])))
			}
			if pad := " "; i == 1 {
				line[column] = strings.Repeat("-", width)
			} else {
				line[column] += strings.Repeat(pad, width-len([]rune(line[column])))
			}
		}
		fmt.Println("| " + strings.Join(line, " | ") + " |")
	}
}

// short prints a figure with three digits that count.
func short(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f >= 100 || f <= -100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10 || f <= -10:
		return fmt.Sprintf("%.1f", f)
	case f > -0.1 && f < 0.1:
		return fmt.Sprintf("%.4f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// ms is a duration as a figure.
func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// sample is figures of one kind.
type sample []float64

// at returns the smallest figure that q percent of the sample are not above.
func (s sample) at(q int) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(1, (len(sorted)*q+99)/100)-1]
}

// p95 is at(95), if there are enough to speak of that.
func (s sample) p95() float64 {
	if len(s) < 20 {
		return math.NaN()
	}
	return s.at(95)
}
