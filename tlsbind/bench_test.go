package tlsbind

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stekring/stekring/keyring"
)

// offer is a session cache that offers the same ticket every time.
type offer struct{ session *tls.ClientSessionState }

func (o offer) Get(string) (*tls.ClientSessionState, bool) { return o.session, true }
func (o offer) Put(string, *tls.ClientSessionState)        {}

// BenchmarkResume compares a resumed handshake of a bound server with one of a
// server that has the same keys by SetSessionTicketKeys. The ticket is sealed
// with the oldest key, behind which only the staged one is tried. The client's
// share of the time is in both.
func BenchmarkResume(b *testing.B) {
	for _, version := range versions {
		for _, n := range []int{2, 5, 15} {
			ring := fresh()
			seal := plain(b, ring.TicketKeys("")[0])
			for len(ring.TicketKeys("")) < n {
				ring = next(b, ring)
			}
			unbound, bound := seal.Clone(), Config(seal, keyring.Static(ring))
			unbound.SetSessionTicketKeys(ring.TicketKeys(""))

			c, p := client(version)
			if _, err := get(serve(b, seal), c); err != nil {
				b.Fatal(err)
			}
			c.ClientSessionCache = offer{p.session}
			for _, s := range []struct {
				name string
				*tls.Config
			}{{"plain", unbound}, {"bound", bound}} {
				b.Run(fmt.Sprintf("%s/%d/%s", tls.VersionName(version), n, s.name), func(b *testing.B) {
					benchmarkResume(b, s.Config, c)
				})
			}
		}
	}
}

func benchmarkResume(b *testing.B, server, client *tls.Config) {
	dir, err := os.MkdirTemp("", "") // a socket's path must be short
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Unlike TCP, this does not run out of ports.
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = tls.Server(conn, server).Write([]byte{1})
			conn.Close()
		}
	}()
	for b.Loop() {
		raw, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		conn := tls.Client(raw, client)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		if !conn.ConnectionState().DidResume {
			b.Fatal("did not resume")
		}
		raw.Close()
	}
}
