package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
)

const linkedInterval = 3 * time.Second // tickets live for 36s

// linkedPair is two servers of integration/linked on one ring.
type linkedPair struct {
	*site
	client *clientv3.Client
	nodes  []*linkedNode
}

// linkedNode is a process of integration/linked. It ends with the test.
type linkedNode struct {
	t       *testing.T
	address string
	id      string // as its page says; it chooses it itself
	cmd     *exec.Cmd
	log     bytes.Buffer // to be read once it has ended
	ended   chan struct{}
}

// linkedGo runs the go command in the module of the linked server.
func linkedGo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "linked"
	var bad bytes.Buffer
	cmd.Stderr = &bad
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, bad.String())
	}
	return string(out)
}

// start starts a server and waits until it answers.
func (p *linkedPair) start(program string) *linkedNode {
	p.t.Helper()
	n := &linkedNode{t: p.t, address: unusedAddress(), ended: make(chan struct{})}
	n.cmd = exec.Command(program, "-etcd", p.endpoint, "-kek", p.kekFile, "-cert", p.certFile, "-key", p.keyFile,
		"-listen", n.address, "-interval", linkedInterval.String(), "-ttl", "2s")
	n.cmd.Stdout, n.cmd.Stderr = &n.log, &n.log
	if err := n.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = n.cmd.Wait()
		close(n.ended)
	}()
	p.t.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		<-n.ended
		if p.t.Failed() {
			p.t.Logf("log of %s at %s:\n%s", n.id, n.address, n.log.String())
		}
	})
	eventually(p.t, "a linked server answers", func() bool {
		select {
		case <-n.ended:
			p.t.Fatalf("it ended: %v", n.cmd.ProcessState)
		default:
		}
		c, err := net.DialTimeout("tcp", n.address, time.Second)
		return err == nil && c.Close() == nil
	})
	return n
}

// terminate sends TERM and wants the process to end soon, in peace.
func (n *linkedNode) terminate() {
	n.t.Helper()
	start := time.Now()
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // if it has ended, then not of this
	select {
	case <-n.ended:
	case <-time.After(patience):
	}
	if took := time.Since(start); took > 5*time.Second || n.cmd.ProcessState.ExitCode() != 0 {
		n.t.Errorf("%s ended %v after TERM: %v; want exit 0 within 5s", n.id, took, n.cmd.ProcessState)
	}
}

// unusedAddress returns an address to listen at. Its port is none that systems
// give to outgoing connections, which could take it meanwhile.
func unusedAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
}

// firstTicket is a cache that keeps the first ticket that it is given for a
// name, so that it grows old.
type firstTicket struct{ tls.ClientSessionCache }

func (c firstTicket) Put(name string, s *tls.ClientSessionState) {
	if _, ok := c.Get(name); !ok && s != nil {
		c.ClientSessionCache.Put(name, s)
	}
}

// visit makes a new connection to a server with what tickets there are, and
// wants it resumed or not, by the client's word and by the page's. Every server
// goes by the same name, so that a ticket from one is offered at the next.
func (p *linkedPair) visit(n *linkedNode, tickets tls.ClientSessionCache, resumed bool) {
	p.t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		ServerName: "localhost", RootCAs: p.roots, ClientSessionCache: tickets,
	}}
	defer transport.CloseIdleConnections()
	c := http.Client{Transport: transport, Timeout: 10 * time.Second}
	resp, err := c.Get("https://" + n.address + "/")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if n.id == "" {
		_, n.id, _ = strings.Cut(strings.SplitN(string(b), "\n", 2)[0], "node=")
	}
	want := fmt.Sprintf("node=%s\nresumed=%t\nproto=HTTP/2.0\n", n.id, resumed)
	if string(b) != want || resp.TLS.DidResume != resumed || resp.Proto != "HTTP/2.0" {
		p.t.Errorf("%s: %s, resumed %t, page\n%swant\n%s", n.id, resp.Proto, resp.TLS.DidResume, b, want)
	}
}

// cross gets a ticket from each server and offers it at the other. It returns
// the tickets, which grow old from then on.
func (p *linkedPair) cross() (issued []tls.ClientSessionCache) {
	p.t.Helper()
	for i, n := range p.nodes {
		tickets := firstTicket{tls.NewLRUClientSessionCache(1)}
		p.visit(n, tickets, false)
		p.visit(p.nodes[1-i], tickets, true)
		issued = append(issued, tickets)
	}
	return issued
}

// old offers tickets that were issued before at both servers.
func (p *linkedPair) old(issued []tls.ClientSessionCache) {
	p.t.Helper()
	for _, tickets := range issued {
		for _, n := range p.nodes {
			p.visit(n, tickets, true)
		}
	}
}

// reach waits until both servers report a version of the ring, and returns the
// newest that one reports.
func (p *linkedPair) reach(version uint64) (newest uint64) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("both servers have version %d", version), func() bool {
		s, err := fleet.Read(p.t.Context(), p.client, fleet.NewLayout("", "www"))
		if err != nil || len(s.Nodes) != 2 || len(s.Behind(nil, keyring.Info{Epoch: 1, Version: version})) != 0 {
			return false
		}
		newest = max(s.Nodes[0].Version, s.Nodes[1].Version)
		return true
	})
	return newest
}

// TestLinked runs the program of README: a server that links the rotator and
// is started by ListenAndServeTLS with certificate files.
func TestLinked(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	program := filepath.Join(t.TempDir(), "linked")
	linkedGo(t, "build", "-o", program, ".")
	etcd := etcdtest.Start(t)
	p := &linkedPair{site: newSite(t, etcd.Endpoint()), client: etcd.Client()}
	p.nodes = []*linkedNode{p.start(program), p.start(program)}

	version := p.reach(1)
	issued := p.cross()
	if p.nodes[0].id == p.nodes[1].id {
		t.Fatalf("both servers are %s", p.nodes[0].id)
	}
	version = p.reach(version + 3)
	p.old(issued)
	issued = p.cross()

	etcd.Down()
	for end := time.Now().Add(2 * linkedInterval); time.Now().Before(end); {
		p.old(issued)
		p.cross()
	}
	etcd.Up()
	p.reach(p.reach(version) + 1)
	p.old(issued)
	p.cross()

	for _, n := range p.nodes {
		n.terminate()
	}
	// Who resigns leaves nothing that others would have to wait for.
	s, err := fleet.Read(t.Context(), p.client, fleet.NewLayout("", "www"))
	if err != nil || len(s.Nodes) != 0 || s.Leader != "" {
		t.Errorf("after the servers have ended etcd has nodes %v and leader %q (%v), want none", s.Nodes, s.Leader, err)
	}
}

// TestLinkedIsLight holds the linked server to what it must not drag along.
func TestLinkedIsLight(t *testing.T) {
	t.Parallel()
	deps := linkedGo(t, "list", "-deps", ".")
	if !strings.Contains(deps, "go.etcd.io/etcd/client/v3\n") {
		t.Errorf("without etcd's client this is not the linked server:\n%s", deps)
	}
	for dep := range strings.Lines(deps) {
		for _, heavy := range []string{"viper", "cobra", "etcd/server", "prometheus"} {
			if strings.Contains(dep, heavy) {
				t.Errorf("the linked server depends on %s", dep)
			}
		}
	}
}
