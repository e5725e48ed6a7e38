package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// said is a line of a child, and when this process had it.
type said struct {
	by   string
	at   time.Time
	text string
}

// ear is what a child writes to.
type ear struct {
	by    string
	heard chan<- said
	part  []byte
}

func (e *ear) Write(b []byte) (int, error) {
	at := time.Now()
	e.part = append(e.part, b...)
	for {
		line, rest, whole := bytes.Cut(e.part, []byte{'\n'})
		if !whole {
			return len(b), nil
		}
		e.heard <- said{e.by, at, string(line)}
		e.part = rest
	}
}

// await returns the next line that begins as wanted, and drops others.
func await(ctx context.Context, heard <-chan said, want string, patience time.Duration) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case s := <-heard:
			if strings.HasPrefix(s.text, want) {
				return s, nil
			}
		case <-ctx.Done():
			return said{}, fmt.Errorf("no child said %q: %w", want, ctx.Err())
		}
	}
}
