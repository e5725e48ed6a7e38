package tlsbind

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// Short batches, many pairs: on a machine that does other work too, most pairs
// are then disturbed alike or not at all.
const (
	benchPairs = 601
	benchBatch = 10
)

// offer is a session cache that offers the same ticket every time, or never any.
type offer struct{ session *tls.ClientSessionState }

func (o offer) Get(string) (*tls.ClientSessionState, bool) { return o.session, o.session != nil }
func (o offer) Put(string, *tls.ClientSessionState)        {}

// BenchmarkPairs compares handshakes of a bound server with those of a server
// that has the same keys by SetSessionTicketKeys, in batches that alternate. It
// reports the median of the pairs' throughputs, bound over plain; the client's
// share of the work is in both. Tickets are sealed with the oldest key, behind
// which only the staged one is tried. In a full handshake the server seals a
// new one.
func BenchmarkPairs(b *testing.B) {
	for _, version := range versions {
		for _, resumed := range []bool{true, false} {
			for _, n := range []int{2, 5, 15} {
				kind := "full"
				if resumed {
					kind = "resumed"
				}
				b.Run(fmt.Sprintf("%s/%s/keys=%d", tls.VersionName(version), kind, n), func(b *testing.B) {
					benchPair(b, version, n, resumed)
				})
			}
		}
	}
}

func benchPair(b *testing.B, version uint16, n int, resumed bool) {
	ring := fresh()
	seal := plain(b, ring.TicketKeys("")[0])
	for len(ring.TicketKeys("")) < n {
		ring = next(b, ring)
	}
	unbound, bound := seal.Clone(), Config(seal, keyring.Static(ring))
	unbound.SetSessionTicketKeys(ring.TicketKeys(""))
	c, p := client(version)
	if resumed {
		if _, err := get(serve(b, seal), c); err != nil {
			b.Fatal(err)
		}
	}
	c.ClientSessionCache = offer{p.session}

	arms := []string{benchServe(b, unbound), benchServe(b, bound)}
	var ratios []float64
	var spent [2]time.Duration
	for b.Loop() {
		for i := range 1 + benchPairs {
			var took [2]time.Duration
			for j := range arms {
				arm := (i + j) % 2
				took[arm] = benchShake(b, arms[arm], c, resumed)
			}
			if i == 0 {
				continue // warm-up
			}
			ratios = append(ratios, took[0].Seconds()/took[1].Seconds())
			spent[0] += took[0]
			spent[1] += took[1]
		}
	}
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratios[len(ratios)/2], "bound/plain")
	for arm, name := range []string{"plain", "bound"} {
		b.ReportMetric(float64(len(ratios)*benchBatch)/spent[arm].Seconds(), name+"/s")
	}
}

// benchServe serves until the benchmark ends and returns the address.
func benchServe(b *testing.B, server *tls.Config) string {
	dir, err := os.MkdirTemp("", "") // a socket's path must be short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	// Unlike TCP, this does not run out of ports.
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
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
	return ln.Addr().String()
}

// benchShake is how long a batch of handshakes takes, one after the other.
func benchShake(b *testing.B, addr string, c *tls.Config, resumed bool) time.Duration {
	start := time.Now()
	for range benchBatch {
		raw, err := net.Dial("unix", addr)
		if err != nil {
			b.Fatal(err)
		}
		conn := tls.Client(raw, c)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		if got := conn.ConnectionState().DidResume; got != resumed {
			b.Fatalf("resumed = %v, want %v", got, resumed)
		}
		raw.Close()
	}
	return time.Since(start)
}
