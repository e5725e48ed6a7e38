package progress

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	var b bytes.Buffer
	l := New(&b)
	l.Show("%d of 9", 1)
	if err := l.Step("building", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := l.Step("starting", func() error { return errors.New("no") }); err == nil || err.Error() != "starting: no" {
		t.Errorf("a step that fails: %v", err)
	}
	l.Done()
	if got := b.String(); !regexp.MustCompile(`^building: \d+\.\d s\nstarting\n$`).MatchString(got) {
		t.Errorf("not to a terminal: %q", got)
	}
}

// TestTerminal wants nothing left of what was shown on the way.
func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	l := &Line{out: &b, live: true}
	l.Show("%d of 9", 1)
	if err := l.Step("building", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if !strings.HasPrefix(got, "\r\x1b[K1 of 9\r\x1b[Kbuilding … 0 s") || !regexp.MustCompile(`\r\x1b\[Kbuilding: \d+\.\d s\n$`).MatchString(got) {
		t.Errorf("to a terminal: %q", got)
	}
}
