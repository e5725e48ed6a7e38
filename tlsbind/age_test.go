package tlsbind

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// clock is a tls.Config.Time that tests set.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time                  { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) wait(d time.Duration)            { c.offset.Add(int64(d)) }
func (c *clock) given(b *tls.Config) *tls.Config { b.Time = c.now; return b }

// TestMaxSessionAge comes back every 20 minutes, to one server and the other.
func TestMaxSessionAge(t *testing.T) {
	for name, start := range map[string]func(*tls.Config) string{
		"tls.NewListener": func(c *tls.Config) string { return serve(t, c) },
		"a clone":         func(c *tls.Config) string { return serve(t, c.Clone()) },
		"http.Server.ServeTLS": func(c *tls.Config) string {
			return serveHTTP(t, c, func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") })
		},
	} {
		for shape, set := range map[string]func(*tls.Config){
			"itself":                  func(*tls.Config) {},
			"by a GetConfigForClient": func(c *tls.Config) { c.GetConfigForClient = always(c.Clone()) },
			"by a GetConfigForClient that returns nil": func(c *tls.Config) { c.GetConfigForClient = always(nil) },
		} {
			for _, version := range versions {
				src, fake := source(fresh()), new(clock)
				server := func(b Binder) string {
					base := fake.given(serverConfig(t))
					base.NextProtos = []string{"h2", "http/1.1"}
					set(base)
					b.Source = src
					return start(bound(t, b, base))
				}
				addrs := []string{server(Binder{MaxSessionAge: time.Hour}), server(Binder{MaxSessionAge: time.Hour})}
				endless := server(Binder{})
				c, _ := client(version)
				free, _ := client(version)
				resumes(t, "first", endless, free, false)
				for i := range 8 {
					what := fmt.Sprintf("%s, %s, %s, after %d minutes", name, shape, tls.VersionName(version), 20*i)
					resumes(t, what, addrs[i%2], c, i%3 != 0)
					fake.wait(20 * time.Minute)
					resumes(t, what+", without a bound", endless, free, true)
				}
			}
		}
	}
}

// TestMaxSessionAgeAmongClocks has servers whose clocks are far apart. A session
// of the future is as old as one of the past.
func TestMaxSessionAgeAmongClocks(t *testing.T) {
	src := keyring.Static(fresh())
	server := func(off time.Duration) string {
		fake := new(clock)
		fake.wait(off)
		base := fake.given(serverConfig(t))
		base.NextProtos = []string{}
		return serve(t, bound(t, Binder{Source: src, MaxSessionAge: time.Hour}, base))
	}
	here := server(0)
	for _, c := range []struct {
		off  time.Duration
		want bool
	}{
		{-30 * time.Minute, true}, {30 * time.Minute, true},
		{-2 * time.Hour, false}, {2 * time.Hour, false}, {365 * 24 * time.Hour, false}, {-365 * 24 * time.Hour, false},
	} {
		there := server(c.off)
		for _, version := range versions {
			client, _ := client(version)
			resumes(t, "first", here, client, false)
			resumes(t, fmt.Sprintf("%s: at a clock %v off", tls.VersionName(version), c.off), there, client, c.want)
		}
	}
}

// TestBoundsAreNotLaundered resumes at a server that knows no session's age, and
// may not come back from there with a young one.
func TestBoundsAreNotLaundered(t *testing.T) {
	src := keyring.Static(fresh())
	base := serverConfig(t)
	base.NextProtos = []string{}
	strict := serve(t, bound(t, Binder{Source: src, MaxSessionAge: time.Hour}, base))
	free := serve(t, bound(t, Binder{Source: src, Observe: func(Event) {}}, base))
	c, p := client(tls.VersionTLS13)
	resumes(t, "first", strict, c, false)
	old := p.session
	resumes(t, "where nothing is bound", free, c, true)
	resumes(t, "back again", strict, c, false)
	p.session = old
	resumes(t, "with the ticket of before", strict, c, true)
}

// TestMaxSessionAgeSharesNothingWithServers has two servers on one configuration,
// of which net/http changes what it is given. The race detector decides.
func TestMaxSessionAgeSharesNothingWithServers(t *testing.T) {
	base := serverConfig(t)
	base.NextProtos = []string{"http/1.1"}
	server := bound(t, Binder{Source: keyring.Static(fresh()), MaxSessionAge: time.Hour}, base)
	start := func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") }
	// One after the other: two that start at once race by themselves.
	another := func() (addr string) {
		addr = serveHTTP(t, server, start)
		c, _ := client(tls.VersionTLS13)
		resumes(t, "first", addr, c, false)
		return addr
	}
	addr := another()
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			c, _ := client(tls.VersionTLS13)
			for range 20 {
				if _, err := get(addr, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		another()
	}
	g.Wait()
}

// TestKeepsHTTP2WithMaxSessionAge guards what a copy for each connection could lose.
func TestKeepsHTTP2WithMaxSessionAge(t *testing.T) {
	base := serverConfig(t)
	base.NextProtos = []string{"h2", "http/1.1"}
	server := bound(t, Binder{Source: keyring.Static(fresh()), MaxSessionAge: time.Hour}, base)
	addr := serveHTTP(t, server, func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") })
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool, ServerName: "example.com"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("https://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("a request went by %s, want HTTP/2", res.Proto)
	}
}
