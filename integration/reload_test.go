package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// echo is an upstream that answers with its name and what reached it.
func echo(t *testing.T, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upstream=%s\nhost=%s\nfor=%s\nproto=%s\nfwdhost=%s\n", name, r.Host,
			strings.Join(r.Header.Values("X-Forwarded-For"), "|"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(s.Close)
	return s
}

func upstream(url string) func(*config.Config) {
	return func(c *config.Config) { c.Listeners[0].Upstream = url }
}

func TestReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	first, second := echo(t, "first"), echo(t, "second")
	p := s.run("a", upstream(first.URL))
	v := s.visitor()
	spoof := func(r *http.Request) {
		r.Host = "shop.example:8443"
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		r.Header.Set("X-Forwarded-Proto", "gopher")
	}
	from := func(want string) visit {
		t.Helper()
		got := v.visit(p.tlsAddress(), spoof)
		if got.page["upstream"] != want {
			t.Errorf("%q answers, want %q:\n%s", got.page["upstream"], want, got.body)
		}
		return got
	}
	old := from("first")
	for name, want := range map[string]string{
		"host": "shop.example:8443", "fwdhost": "shop.example:8443", "for": "127.0.0.1", "proto": "https",
	} {
		if old.page[name] != want {
			t.Errorf("the upstream saw %s %q, want %q", name, old.page[name], want)
		}
	}
	reloads, refusals := 0, 0
	reload := func() {
		t.Helper()
		reloads++
		p.signal(syscall.SIGHUP)
		p.hear("reloaded", reloads)
	}
	// refused returns why.
	refused := func() string {
		t.Helper()
		refusals++
		p.signal(syscall.SIGHUP)
		l := p.hear("not reloaded; keeping the old configuration", refusals)
		if l.Level != "error" || len(p.said("reloaded")) != reloads {
			t.Errorf("%+v after %d reloads, want an error and no reload", l, len(p.said("reloaded")))
		}
		return l.Error
	}
	leaf := func(got visit) []byte { return got.tls.PeerCertificates[0].Raw }

	cert := s.certify()
	reload()
	v.ticket = nil // a resumed connection shows the certificate of the first
	if got := from("first"); !bytes.Equal(leaf(got), cert.Certificate[0]) || bytes.Equal(leaf(got), leaf(old)) {
		t.Error("the old certificate after a reload with a new one")
	}

	file := s.configure("a", upstream(second.URL))
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.write(file, []byte("ring: [\n"))
	if why := refused(); !strings.Contains(why, "not YAML") {
		t.Errorf("refused for %q", why)
	}
	s.write(file, bytes.Replace(good, []byte(s.certFile), []byte(s.certFile+".gone"), 1))
	if why := refused(); !strings.Contains(why, "listeners[0].cert_file") {
		t.Errorf("refused for %q", why)
	}
	s.write(file, bytes.Replace(good, []byte("outage: local"), []byte("outage: never"), 1))
	if why := refused(); !strings.Contains(why, "outage") {
		t.Errorf("refused for %q", why)
	}
	if got := from("first"); !got.tls.DidResume {
		t.Error("a ticket of before a refused reload is worth nothing")
	}

	s.write(file, good)
	reload()
	if got := from("second"); !got.tls.DidResume {
		t.Error("a ticket of before a reload is worth nothing")
	}
	s.configure("a")
	reload()
	if got := from(""); got.page["node"] != "a" {
		t.Errorf("without an upstream there is\n%s, want the page", got.body)
	}

	// Certificates are followed without a HUP too, once both of their files fit.
	oldKey, err := os.ReadFile(s.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	next := s.certify()
	newKey, err := os.ReadFile(s.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	served := func() []byte {
		v.ticket = nil
		return leaf(from(""))
	}
	s.write(s.keyFile, oldKey)
	eventually(t, "half a new pair is refused", func() bool {
		if !bytes.Equal(served(), cert.Certificate[0]) {
			t.Fatal("half a new pair is served")
		}
		return len(p.said("certificate not reloaded; keeping the last good one")) > 0
	})
	s.write(s.keyFile, newKey)
	eventually(t, "the new pair is served", func() bool { return bytes.Equal(served(), next.Certificate[0]) })
	p.terminate()
}

// slow is an upstream whose answers take until they are released.
type slow struct {
	*httptest.Server
	arrived chan struct{}
	release func()
}

func newSlow(t *testing.T) *slow {
	s := &slow{arrived: make(chan struct{}, 1)}
	released := make(chan struct{})
	s.release = sync.OnceFunc(func() { close(released) })
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.arrived <- struct{}{}
		<-released
		fmt.Fprintln(w, "upstream=slow")
	}))
	t.Cleanup(func() { s.release(); s.Close() })
	return s
}

// answer is what became of a request in flight.
type answer struct {
	visit
	err error
}

// draining starts a node, has a request of it under way, and sends TERM.
func draining(t *testing.T, up *slow) (p *process, start time.Time, answered <-chan answer) {
	t.Helper()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	p = s.run("a", upstream(up.URL))
	p.share()
	address := p.tlsAddress()
	a := make(chan answer, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err := s.visitor().try(address)
		a <- answer{got, err}
	}()
	t.Cleanup(func() { <-done })
	<-up.arrived
	start = time.Now()
	p.signal(syscall.SIGTERM)
	p.hear("stopping", 1)
	eventually(t, "new connections are refused", func() bool {
		_, err := s.visitor().try(address)
		return err != nil
	})
	if p.ended() {
		t.Fatal("ended with a request under way")
	}
	if code, body := p.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz while draining: %d %s", code, body)
	}
	return p, start, a
}

func TestDrains(t *testing.T) {
	t.Parallel()
	up := newSlow(t)
	p, start, answered := draining(t, up)
	up.release()
	if a := <-answered; a.err != nil || a.page["upstream"] != "slow" {
		t.Errorf("the request under way got %q, %v; want its answer", a.body, a.err)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	t.Logf("exited %.2fs after TERM", time.Since(start).Seconds())
}

func TestDrainEnds(t *testing.T) {
	t.Parallel()
	p, start, _ := draining(t, newSlow(t))
	code := p.wait()
	took := time.Since(start)
	t.Logf("exited %.2fs after TERM with a request that never ends", took.Seconds())
	if code != 0 || took > 5*time.Second {
		t.Errorf("exit %d after %v, want 0 within 5s", code, took)
	}
}

func TestSecondTermStopsAtOnce(t *testing.T) {
	t.Parallel()
	p, _, _ := draining(t, newSlow(t))
	start := time.Now()
	p.signal(syscall.SIGTERM)
	code := p.wait()
	took := time.Since(start)
	t.Logf("exited %.2fs after the second TERM", took.Seconds())
	if code == 0 || took > time.Second {
		t.Errorf("exit %d after %v, want no 0 and at once", code, took)
	}
}
