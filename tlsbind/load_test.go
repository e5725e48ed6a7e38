package tlsbind

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// TestSwapsUnderLoad swaps a thousand times a second, as far as the machine can,
// while clients come back, and requires of every one that it resumes as long as
// the key of its ticket is in the ring.
func TestSwapsUnderLoad(t *testing.T) {
	base := serverConfig(t)
	base.NextProtos = []string{}
	inner := base.Clone()
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.SupportedVersions[0] == tls.VersionTLS12 {
			return nil, nil
		}
		return inner, nil
	}
	for name, b := range map[string]Binder{
		"plain":      {},
		"observed":   {Observe: func(Event) {}},
		"all bounds": {Observe: func(Event) {}, PerName: true, PerChain: true, MaxSessionAge: time.Hour, Scope: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			src := source(fresh())
			b.Source = src
			swapsUnderLoad(t, src, serve(t, bound(t, b, base)))
		})
	}
}

func swapsUnderLoad(t *testing.T, src *swap, addr string) {
	const lives = 13   // rotations for which a key opens tickets after it sealed
	const rotates = 10 // one swap in so many; the others bring the same keys anew
	version := func() uint64 { return src.Ring().Info().Version }
	start := time.Now()
	deadline := start.Add(time.Second)
	var shaken, resumed atomic.Int64
	var g sync.WaitGroup
	for i := range 6 {
		tlsVersion := versions[i%2]
		g.Go(func() {
			c, _ := client(tlsVersion)
			sealed := uint64(0)
			for time.Now().Before(deadline) {
				before := version()
				cs, err := get(addr, c)
				if err != nil {
					t.Error(err)
					return
				}
				shaken.Add(1)
				if age := version() - sealed; !cs.DidResume && sealed > 0 && age <= lives*rotates {
					t.Errorf("%s: did not resume a ticket of %d swaps ago", tls.VersionName(tlsVersion), age)
				}
				if cs.DidResume {
					resumed.Add(1)
				}
				if !cs.DidResume || tlsVersion == tls.VersionTLS13 {
					sealed = before // or later
				}
			}
		})
	}
	swaps := 0
	for now := time.Now(); now.Before(deadline); now = time.Now() {
		for ; swaps < int(now.Sub(start)/time.Millisecond); swaps++ {
			if r := src.Ring(); swaps%rotates == 0 {
				src.Store(next(t, r))
			} else {
				src.Store(keyring.DefaultPolicy.Again(r, r.Info().Version+1, now, now))
			}
		}
		time.Sleep(time.Millisecond)
	}
	g.Wait()
	if resumed.Load() == 0 {
		t.Error("no connection resumed")
	}
	t.Logf("%d handshakes, %d of them resumed, and %d swaps in %v", shaken.Load(), resumed.Load(), swaps, time.Since(start).Round(time.Millisecond))
}
