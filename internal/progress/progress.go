// Package progress tells a person who waits how far a command is: on a terminal
// in one line that changes, elsewhere in plain lines.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Terminal reports whether a person may be looking at w.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Line is where progress shows. It is for one goroutine.
type Line struct {
	out  io.Writer
	live bool
}

// New returns a Line on out.
func New(out io.Writer) *Line { return &Line{out: out, live: Terminal(out)} }

// Show replaces what the line says, on a terminal; elsewhere it does nothing.
func (l *Line) Show(format string, a ...any) {
	if l.live {
		fmt.Fprintf(l.out, "\r\x1b[K"+format, a...)
	}
}

// Done empties the line, so that what is printed next begins there.
func (l *Line) Done() { l.Show("") }

// Step does what takes its time, and says what and for how long.
func (l *Line) Step(what string, do func() error) error {
	start, over := time.Now(), make(chan struct{})
	if !l.live {
		fmt.Fprint(l.out, what)
	}
	var wg sync.WaitGroup
	if l.live {
		wg.Go(func() {
			for {
				l.Show("%s … %.0f s", what, time.Since(start).Seconds())
				select {
				case <-time.After(time.Second):
				case <-over:
					return
				}
			}
		})
	}
	err := do()
	close(over)
	wg.Wait()
	l.Done()
	if err != nil {
		if !l.live {
			fmt.Fprintln(l.out)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	if l.live {
		fmt.Fprint(l.out, what)
	}
	fmt.Fprintf(l.out, ": %.1f s\n", time.Since(start).Seconds())
	return nil
}
