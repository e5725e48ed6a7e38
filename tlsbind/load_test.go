package tlsbind

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSwapsUnderLoad rotates as fast as it can while clients come back, and
// requires of every one that it resumes as long as the key of its ticket is in
// the ring.
func TestSwapsUnderLoad(t *testing.T) {
	const lives = 13 // rotations for which a key opens tickets after it sealed
	src := source(fresh())
	inner := serverConfig(t)
	base := serverConfig(t)
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.SupportedVersions[0] == tls.VersionTLS12 {
			return nil, nil
		}
		return inner, nil
	}
	addr := serve(t, Config(base, src))
	version := func() uint64 { return src.Ring().Info().Version }

	deadline := time.Now().Add(time.Second)
	var resumed atomic.Int64
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
				if age := version() - sealed; !cs.DidResume && sealed > 0 && age <= lives {
					t.Errorf("%s: did not resume a ticket of %d rotations ago", tls.VersionName(tlsVersion), age)
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
	rotations := 0
	for ; time.Now().Before(deadline); rotations++ {
		src.Store(next(t, src.Ring()))
		time.Sleep(2 * time.Millisecond)
	}
	g.Wait()
	if resumed.Load() == 0 {
		t.Error("no connection resumed")
	}
	t.Logf("%d connections resumed in %d rotations", resumed.Load(), rotations)
}
