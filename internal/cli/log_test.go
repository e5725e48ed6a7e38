package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
)

// pipe is one that is full until it is opened.
type pipe struct {
	open chan struct{}
	mu   sync.Mutex
	got  strings.Builder
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.open
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.Write(b)
}

// TestLogWaitsForNobody is a reader who stops reading for a while.
func TestLogWaitsForNobody(t *testing.T) {
	p := &pipe{open: make(chan struct{})}
	log, _, closeLog := logger(config.Log{Level: "info", Format: "json"}, p)
	const lines = 5000
	for i := range lines {
		log.Info(fmt.Sprint("line ", i))
	}
	close(p.open)
	closeLog()
	log.Info("after the end")
	got := p.got.String()
	n := strings.Count(got, "\n")
	if !strings.Contains(got, "line 0\"") || !strings.Contains(got, "lines lost") || n < 1000 || n > 1010 {
		t.Errorf("%d lines were written, want the first thousand and a word of the rest:\n%.500s", n, got)
	}
}

// TestLogIsShort is an etcd that has much to say.
func TestLogIsShort(t *testing.T) {
	var b bytes.Buffer
	log, _, closeLog := logger(config.Log{Level: "info", Format: "json"}, &b)
	long := strings.Repeat("é", 1<<20)
	log.With(zap.String("with", long)).Warn("much", zap.Error(errors.New(long)), zap.String("what", long), zap.Int("n", 7), zap.NamedError("why", nil))
	closeLog()
	var line struct {
		With, Error, What string
		N                 int
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{line.With, line.Error, line.What} {
		if len(text) > 2010 || len(text) < 1990 {
			t.Errorf("a text of %d bytes", len(text))
		}
	}
	if line.N != 7 {
		t.Errorf("%s", b.Bytes())
	}
}
