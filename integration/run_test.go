package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running stekring run. It ends with the test.
type process struct {
	t   *testing.T
	id  string // its node_id, if the test chose one
	cmd *exec.Cmd

	mu    sync.Mutex
	log   bytes.Buffer // all that it printed
	lines []line
	done  chan struct{} // closed once it has ended and all of its log is read
}

// line is what tests look at in a line of a process's log.
type line struct {
	Level   string `json:"level"`
	Msg     string `json:"msg"`
	Address string `json:"address"`
	Error   string `json:"error"`

	Endpoint string `json:"endpoint"`
	Version  any    `json:"version"` // a ring's, or etcd's
	What     string `json:"what"`

	ServingWith string `json:"serving_with"`
}

// nodeStatus is what tests look at in what a node says of itself.
type nodeStatus struct {
	ID      string `json:"id"`
	Leader  bool   `json:"leader"`
	Local   bool   `json:"local"`
	Problem string `json:"problem"`
	Info    struct {
		Epoch   uint64 `json:"epoch"`
		Version uint64 `json:"version"`
	} `json:"info"`
}

// launch starts the command with env added to the environment, and reads its
// log, which must be in JSON.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout // nothing may leak into either
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.read(out)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // one that is stopped dies of it too
		<-p.done
		for _, cry := range []string{"panic: ", "fatal error: ", "DATA RACE"} { // the last if GOFLAGS has -race
			if strings.Contains(p.text(), cry) {
				t.Errorf("%s cried %s", p.id, cry)
			}
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.id, p.text())
		}
	})
	return p
}

func (p *process) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		b, err := lines.ReadBytes('\n')
		var l line
		_ = json.Unmarshal(b, &l) // a panic is no JSON, and is to be seen
		p.mu.Lock()
		p.log.Write(b)
		p.lines = append(p.lines, l)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// said returns the lines with a message, in order.
func (p *process) said(msg string) (found []line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.Msg == msg {
			found = append(found, l)
		}
	}
	return found
}

// hear waits for a process to log a message for the nth time.
func (p *process) hear(msg string, nth int) line {
	p.t.Helper()
	eventually(p.t, p.id+" logs "+msg, func() bool {
		if p.ended() && len(p.said(msg)) < nth {
			p.t.Fatalf("%s ended before it logged %q", p.id, msg)
		}
		return len(p.said(msg)) >= nth
	})
	return p.said(msg)[nth-1]
}

// tlsAddress is where the only TLS listener is.
func (p *process) tlsAddress() string { p.t.Helper(); return p.hear("serving TLS", 1).Address }

func (p *process) httpAddress() string { p.t.Helper(); return p.hear("serving HTTP", 1).Address }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, p.id, err)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for a process to end and returns what it exited with; -1 is by a
// signal.
func (p *process) wait() int {
	p.t.Helper()
	eventually(p.t, p.id+" ends", p.ended)
	return p.cmd.ProcessState.ExitCode()
}

// terminate sends TERM, wants an exit with 0 within five seconds, and returns
// how long it took.
func (p *process) terminate() time.Duration {
	p.t.Helper()
	start := time.Now()
	p.signal(syscall.SIGTERM)
	code := p.wait()
	took := time.Since(start)
	if code != 0 || took > 5*time.Second {
		p.t.Errorf("%s exits %d after TERM and %v, want 0 within 5s", p.id, code, took)
	}
	return took
}

// web makes no connection that outlives its request.
var web = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns what the process's HTTP side answers.
func (p *process) get(path string) (code int, body string) {
	p.t.Helper()
	r, err := web.Get("http://" + p.httpAddress() + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (p *process) status() (s nodeStatus) {
	p.t.Helper()
	code, body := p.get("/api/v1/status")
	if err := json.Unmarshal([]byte(body), &s); code != http.StatusOK || err != nil {
		p.t.Fatalf("/api/v1/status: %d %s: %v", code, body, err)
	}
	return s
}

// leader waits until one of some processes leads, and no other still thinks that
// it does, and returns it.
func leader(t *testing.T, among []*process) *process {
	t.Helper()
	var lead []*process
	eventually(t, "one leader", func() bool {
		lead = slices.DeleteFunc(slices.Clone(among), func(p *process) bool { return !p.status().Leader })
		return len(lead) == 1
	})
	return lead[0]
}

// without returns some processes but one.
func without(among []*process, but *process) []*process {
	return slices.DeleteFunc(slices.Clone(among), func(p *process) bool { return p == but })
}
