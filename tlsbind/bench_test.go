package tlsbind

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
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

// benchClient returns a client that offers a ticket of server every time, or none.
func benchClient(b *testing.B, version uint16, server *tls.Config, resumed bool) *tls.Config {
	c, p := client(version)
	if resumed {
		if _, err := get(serve(b, server), c); err != nil {
			b.Fatal(err)
		}
	}
	c.ClientSessionCache = offer{p.session}
	return c
}

// benchAlternate has two arms take turns and reports the median of the pairs'
// throughputs, the second over the first.
func benchAlternate(b *testing.B, names [2]string, batch func(arm int) time.Duration) {
	var ratios []float64
	var spent [2]time.Duration
	for b.Loop() {
		for i := range 1 + benchPairs {
			var took [2]time.Duration
			for j := range took {
				arm := (i + j) % 2
				took[arm] = batch(arm)
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
	b.ReportMetric(ratios[len(ratios)/2], names[1]+"/"+names[0])
	for arm, name := range names {
		b.ReportMetric(float64(len(ratios)*benchBatch)/spent[arm].Seconds(), name+"/s")
	}
}

// BenchmarkSwaps compares resumed handshakes while the ring is swapped a thousand
// times a second with those while it is not.
func BenchmarkSwaps(b *testing.B) {
	for _, version := range versions {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			src := source(ringOf(b, 15))
			server := Config(serverConfig(b), src)
			addr, c := benchServe(b, server), benchClient(b, version, server, true)
			var busy atomic.Bool
			done, over := make(chan struct{}), make(chan struct{})
			swaps, swapped := 0, time.Duration(0)
			go func() {
				defer close(over)
				for last := time.Now(); ; {
					select {
					case <-done:
						return
					case <-time.After(time.Millisecond):
					}
					now := time.Now()
					if busy.Load() {
						for range now.Sub(last) / time.Millisecond { // what a slow timer left out
							r := src.Ring()
							src.Store(keyring.DefaultPolicy.Again(r, r.Info().Version+1, now, now))
							swaps++
						}
						swapped += now.Sub(last).Truncate(time.Millisecond)
						last = last.Add(now.Sub(last).Truncate(time.Millisecond))
						continue
					}
					last = now
				}
			}()
			benchAlternate(b, [2]string{"still", "swapped"}, func(arm int) time.Duration {
				busy.Store(arm == 1)
				return benchShake(b, addr, c, true)
			})
			close(done)
			<-over
			b.ReportMetric(float64(swaps)/swapped.Seconds(), "swaps/s")
		})
	}
}

// BenchmarkJunk offers tickets that nobody sealed to a ring of 15 keys, and
// compares a bound server with one that has the same keys by SetSessionTicketKeys.
// What is above 16 KiB is not tried. Beside it is what the hook takes of a full
// handshake, in which the client's work is counted too.
func BenchmarkJunk(b *testing.B) {
	ring := ringOf(b, 15)
	unbound := plain(b, ring.TicketKeys("")...)
	bound := Config(unbound, keyring.Static(ring))
	addrs := []string{benchServe(b, unbound), benchServe(b, bound)}
	for _, version := range versions {
		for _, size := range []int{100, maxTicket, 60_000} {
			b.Run(fmt.Sprintf("%s/%d", tls.VersionName(version), size), func(b *testing.B) {
				c := benchClient(b, version, unbound, true)
				_, state, err := c.ClientSessionCache.(offer).session.ResumptionState()
				if err != nil {
					b.Fatal(err)
				}
				junk := bytes.Repeat([]byte{1}, size)
				session, err := tls.NewResumptionState(junk, state)
				if err != nil {
					b.Fatal(err)
				}
				c.ClientSessionCache = offer{session}
				benchAlternate(b, [2]string{"plain", "bound"}, func(arm int) time.Duration {
					return benchShake(b, addrs[arm], c, false)
				})
				c.ClientSessionCache = offer{}
				var shares []float64
				for range benchPairs {
					full := benchShake(b, addrs[1], c, false)
					start := time.Now()
					for range benchBatch {
						_, _ = bound.UnwrapSession(junk, tls.ConnectionState{Version: version})
					}
					shares = append(shares, time.Since(start).Seconds()/full.Seconds())
				}
				slices.Sort(shares)
				b.ReportMetric(shares[len(shares)/2], "hook/full")
			})
		}
	}
}

// ringOf returns a ring of n keys.
func ringOf(b *testing.B, n int) *keyring.Ring {
	ring := fresh()
	for len(ring.TicketKeys("")) < n {
		ring = next(b, ring)
	}
	return ring
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
