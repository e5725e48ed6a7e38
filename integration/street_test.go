package integration

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// street is a fleet of three nodes at one port of three addresses, as some
// clients look for a ticket by the name and the port of the server. It gives
// tickets for TLS 1.2 too.
type street struct {
	*site
	nodes      []*process
	port       string
	caFile     string
	configFile string // of the operator
	now        moment
}

// moment is how far every node is.
type moment struct{ epoch, version uint64 }

func newStreet(t *testing.T) *street {
	t.Helper()
	f := &street{site: newSite(t, etcdtest.Start(t).Endpoint()), port: commonPort(t)}
	f.configFile, f.caFile = f.configure("operator"), filepath.Join(f.dir, "ca.pem")
	f.write(f.caFile, f.authority)
	for i, id := range []string{"a", "b", "c"} {
		f.nodes = append(f.nodes, f.run(id, func(c *config.Config) {
			c.Tickets.TLS12 = true
			c.Rotation.TicketLifetime = 21 * interval // the most, as the machine may be slow
			c.Listeners[0].Address = house(i, f.port)
		}))
	}
	f.settle(moment{1, 1})
	return f
}

func house(i int, port string) string { return fmt.Sprintf("127.0.0.%d:%s", i+1, port) }

// commonPort returns a port that is free in every house.
func commonPort(t *testing.T) string {
	t.Helper()
	for {
		_, port, _ := net.SplitHostPort(unusedAddress())
		free := 0
		for i := range 3 {
			ln, err := net.Listen("tcp", house(i, port))
			if errors.Is(err, syscall.EADDRNOTAVAIL) {
				lack(t, err.Error()+": not all of 127.0.0.0/8 is this machine; add 127.0.0.2 and 127.0.0.3 to its loopback")
			}
			if err == nil {
				_ = ln.Close()
				free++
			}
		}
		if free == 3 {
			return port
		}
	}
}

// settle waits until every node is as far as m.
func (f *street) settle(m moment) {
	f.t.Helper()
	for _, p := range f.nodes {
		eventually(f.t, fmt.Sprintf("%s is at %+v", p.id, m), func() bool {
			s := p.status()
			return s.Info.Epoch == m.epoch && s.Info.Version >= m.version && !s.Local
		})
	}
	f.now = m
}

// ask has the leader write a new ring.
func (f *street) ask(verb ...string) {
	f.t.Helper()
	out := mustRun(f.t, append(verb, "--config", f.configFile)...)
	var m moment
	if _, err := fmt.Sscanf(out, "epoch %d version %d on", &m.epoch, &m.version); err != nil || m.version <= f.now.version {
		f.t.Fatalf("stekring %s at %+v: %q, %v", verb[0], f.now, out, err)
	}
	f.settle(m)
}

func (f *street) rotate() { f.t.Helper(); f.ask("rotate") }
func (f *street) revoke() { f.t.Helper(); f.ask("revoke", "--reason", "a test", "--yes") }

// shows reports whether a page is of a node, from that moment or later in its
// epoch, and says of its connection what it should.
func (m moment) shows(page map[string]string, node string, minor int, resumed bool) bool {
	version, err := strconv.ParseUint(page["version"], 10, 64)
	return err == nil && version >= m.version && page["epoch"] == strconv.FormatUint(m.epoch, 10) && page["node"] == node &&
		page["tls"] == fmt.Sprintf("TLS 1.%d", minor) && page["resumed"] == strconv.FormatBool(resumed)
}

// walk is where a client goes that keeps its newest ticket to itself. Between
// one leg and the next the fleet rotates, and before the last leg it revokes.
type walk [][]*process

// turns returns what the fleet does between the legs of a walk of four.
func (f *street) turns() []func() {
	return []func(){func() { f.rotate(); f.rotate() }, f.rotate, f.revoke}
}

// resumed reports whether the jth connection of the ith leg resumes.
func (w walk) resumed(i, j int) bool { return j > 0 || i > 0 && i < len(w)-1 }
