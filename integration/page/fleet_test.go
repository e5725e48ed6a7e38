package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// site is processes on one ring.
type site struct {
	t        *testing.T
	etcd     *etcdtest.Etcd
	dir      string
	rotation string
	operator string // a configuration for the other verbs
	nodes    []*process
}

// process is a node.
type process struct {
	t       *testing.T
	id      string
	address string // of its page
	cmd     *exec.Cmd
	done    chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

func newSite(t *testing.T, rotation string, ids ...string) *site {
	t.Helper()
	s := &site{t: t, etcd: etcdtest.Start(t), dir: t.TempDir(), rotation: rotation}
	stekring(t, "keygen", "--out", filepath.Join(s.dir, "kek"))
	s.operator = s.write("operator", "")
	for _, id := range ids {
		s.nodes = append(s.nodes, s.start(id, "127.0.0.1:0"))
	}
	for _, p := range s.nodes {
		eventually(t, p.id+" has the ring", func() bool { st := p.status(); return st.Info.Version > 0 && !st.Local })
	}
	return s
}

// write writes a configuration.
func (s *site) write(name, more string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name+".yaml")
	err := os.WriteFile(file, fmt.Appendf(nil, `ring: www
etcd: {endpoints: ["%s"]}
rotation: %s
election: {ttl: 2s}
seal: {kek_file: %s}
log: {format: json}
%s`, s.etcd.Endpoint(), s.rotation, filepath.Join(s.dir, "kek"), more), 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	return file
}

// start starts a node with its page at an address. It ends with the test.
func (s *site) start(id, address string) *process {
	s.t.Helper()
	p := &process{t: s.t, id: id, done: make(chan struct{})}
	listener := "127.0.0.1:0"
	if *screenshot { // as people have it
		listener = "127.0.1." + id[len(id)-1:] + ":8443"
	}
	config := s.write(id, fmt.Sprintf("node_id: %s\nlisteners: [{address: \"%s\"}]\nhttp: {address: \"%s\"}\n", id, listener, address))
	p.cmd = exec.Command(binary, "run", "--dev", "--config", config)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	s.t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if s.t.Failed() {
			s.t.Logf("log of %s:\n%s", id, p.text())
		}
	})
	serving := regexp.MustCompile(`"serving HTTP".*"address":"([^"]+)"`)
	eventually(s.t, id+" serves its page", func() bool {
		m := serving.FindStringSubmatch(p.text())
		if m != nil {
			p.address = m[1]
		}
		return m != nil
	})
	return p
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// end sends a signal and waits for the end.
func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	<-p.done
}

func (p *process) url() string { return "http://" + p.address + "/" }

// status is some of what a node says of itself.
type status struct {
	Local, Leader bool
	Info          struct {
		Version uint64
		Rotated time.Time
	}
}

func (p *process) status() (s status) {
	p.t.Helper()
	c := http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	resp, err := c.Get(p.url() + "api/v1/status")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// leader returns the node that leads, and another.
func (s *site) leader() (leader, other *process) {
	s.t.Helper()
	eventually(s.t, "somebody leads", func() bool {
		leader, other = nil, nil
		for _, p := range s.nodes {
			if p.status().Leader {
				leader = p
			} else {
				other = p
			}
		}
		return leader != nil
	})
	return leader, other
}

// stekring runs the command and returns what it prints.
func stekring(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("stekring %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
