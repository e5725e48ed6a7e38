package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxShown    = 64
	maxProblems = 100
	byDefault   = "default" // the place of what nobody set
)

// Error is everything that is wrong with a configuration. A command that meets
// one ends with status 2.
type Error struct {
	Problems []string // one line each, those of the file first and by line
}

func (e *Error) Error() string { return strings.Join(e.Problems, "\n") }

type problem struct {
	line int // 0 outside the file
	text string
}

// A collector gathers problems instead of stopping at the first, and knows where
// each value came from.
type collector struct {
	file     string
	lines    map[string]int    // where in the file a field is
	over     map[string]string // which variable or flag overrides the file
	bad      map[string]bool   // fields with a problem: what else they break is no news
	meant    map[string]bool   // fields that a misspelt name stands for
	problems []problem
}

func newCollector(file string) *collector {
	return &collector{
		file: file, lines: map[string]int{}, over: map[string]string{},
		bad: map[string]bool{}, meant: map[string]bool{},
	}
}

// report adds a problem with a field, unless it has one already.
func (c *collector) report(field, given, rule string) {
	if c.fine(field) {
		place, line := c.where(field, false)
		c.add(line, place, field, given, rule)
	}
}

// missing is report for a field without a value.
func (c *collector) missing(field, rule string) {
	if c.fine(field) && !c.meant[field] {
		place, line := c.where(field, true)
		c.add(line, place, field, rule)
	}
}

// reject adds a problem with a field that has no usable value.
func (c *collector) reject(field, given, rule string) {
	place, line := c.where(field, true)
	c.add(line, place, field, given, rule)
	c.bad[field] = true
}

func (c *collector) add(line int, parts ...string) {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	c.problems = append(c.problems, problem{line, strings.Join(parts, ": ")})
}

// fine reports whether the fields, and what they lie in, have no problem yet.
func (c *collector) fine(fields ...string) bool {
	for _, f := range fields {
		for ; f != ""; f = parent(f) {
			if c.bad[f] {
				return false
			}
		}
	}
	return !c.bad[""]
}

// where names the place that set a field. An absent field has the place of the
// nearest one around it that the file has.
func (c *collector) where(field string, absent bool) (place string, line int) {
	for f := field; f != ""; f = parent(f) {
		if place, ok := c.over[f]; ok {
			return place, 0
		}
	}
	for f := field; f != ""; f = parent(f) {
		if line, ok := c.lines[f]; ok && (f == field || absent) {
			return c.at(line), line
		}
	}
	if !absent {
		return byDefault, 0
	}
	return c.file, 0
}

func (c *collector) at(line int) string {
	if line == 0 {
		return c.file
	}
	return fmt.Sprintf("%s:%d", c.file, line)
}

// err returns nil or an [*Error].
func (c *collector) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(c.problems, func(a, b problem) int {
		if (a.line == 0) != (b.line == 0) {
			return cmp.Compare(b.line, a.line)
		}
		return cmp.Compare(a.line, b.line)
	})
	e := &Error{}
	for i, p := range c.problems {
		if i == maxProblems {
			e.Problems = append(e.Problems, fmt.Sprintf("and %d more", len(c.problems)-i))
			break
		}
		e.Problems = append(e.Problems, p.text)
	}
	return e
}

// parent returns the field around one: a.b[1].c, a.b[1], a.b, a.
func parent(field string) string {
	return field[:max(0, strings.LastIndexAny(field, ".["))]
}

// show makes a value fit for an error: short, on one line, and not at all if it
// looks like a key or may have a password before an @.
func show(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case string:
		if strings.Contains(v, "@") || LooksSecret(v) {
			return "(not shown)"
		}
		return strconv.Quote(shorten(v))
	default:
		return fmt.Sprint(v)
	}
}

// plain is show for a name: without quotes if it needs none.
func plain(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return show(name)
	}
	return shorten(name)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}
