package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/config"
)

// logger writes to stderr as a configuration says, and waits for nobody who
// reads that. What it has to write when closed gets a second.
func logger(c config.Log, stderr io.Writer) (log *zap.Logger, level zap.AtomicLevel, closeLog func()) {
	level = zap.NewAtomicLevel()
	_ = level.UnmarshalText([]byte(c.Level)) // checked with the rest
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if c.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	q := newQueue(stderr)
	return zap.New(short{zapcore.NewCore(encoder, q, level)}), level, q.close
}

// maxField is how many bytes of a text are logged. Errors hold what peers say.
const maxField = 2000

// short is a core whose lines are.
type short struct{ zapcore.Core }

func (s short) With(fields []zap.Field) zapcore.Core { return short{s.Core.With(cut(fields))} }

func (s short) Write(e zapcore.Entry, fields []zap.Field) error { return s.Core.Write(e, cut(fields)) }

func (s short) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if s.Enabled(e.Level) {
		return to.AddCore(e, s)
	}
	return to
}

// cut returns fields whose texts and errors are short enough.
func cut(fields []zap.Field) []zap.Field {
	fields = slices.Clone(fields)
	for i, f := range fields {
		text := f.String
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			text = err.Error()
		}
		if len(text) > maxField {
			fields[i] = zap.String(f.Key, strings.ToValidUTF8(text[:maxField], "")+"…")
		}
	}
	return fields
}

// queue is a log whose reader may stop reading, as a full pipe does: lines are
// lost then, and counted, and nothing else in the process stands still.
type queue struct {
	lines chan []byte // nil ends it
	lost  atomic.Int64
	done  chan struct{}
}

func newQueue(w io.Writer) *queue {
	q := &queue{lines: make(chan []byte, 1000), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for line := range q.lines {
			if n := q.lost.Swap(0); n > 0 {
				fmt.Fprintf(w, "{\"level\":\"warn\",\"msg\":\"log lines lost, because nobody read them\",\"lines\":%d}\n", n)
			}
			if line == nil {
				return
			}
			_, _ = w.Write(line)
		}
	}()
	return q
}

func (q *queue) Write(line []byte) (int, error) {
	select {
	case q.lines <- bytes.Clone(line):
	default:
		q.lost.Add(1)
	}
	return len(line), nil
}

func (q *queue) Sync() error { return nil }

func (q *queue) close() {
	late := time.After(time.Second)
	select {
	case q.lines <- nil:
	case <-late:
		return
	}
	select {
	case <-q.done:
	case <-late:
	}
}
