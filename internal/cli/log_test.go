package cli

import (
	"fmt"
	"strings"
	"sync"
	"testing"

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
