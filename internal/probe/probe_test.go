package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stekring/stekring/internal/resume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// describe is a version's reasons; a host in them is its number.
func describe(r Report, v Version) string {
	var said []string
	for i, p := range v.Pairs {
		reason := p.Reason
		for j, h := range r.Hosts {
			reason = strings.ReplaceAll(reason, h, fmt.Sprint(j+1))
		}
		if n := len(r.Hosts); p.From != r.Hosts[i/n] || p.To != r.Hosts[i%n] || p.Resumed != (p.Reason == "resumed") {
			reason = fmt.Sprintf("%+v", p)
		}
		said = append(said, reason)
	}
	if !v.Counts {
		said = append(said, "does not count")
	}
	return strings.Join(said, " | ")
}

const (
	apart     = "resumed | full handshake | full handshake | resumed"
	together  = "resumed | resumed | resumed | resumed"
	unknownCA = `certificate: 1: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" ` +
		`while trying to verify candidate authority certificate "stekring, for one run"); give its CA with --ca`
	otherName = "certificate: 1: x509: certificate is valid for " + siteName + ", not elsewhere; give the name that it is for with --servername | does not count"
	certless  = "unreachable: 1: wants a client certificate, and probe has none | does not count"
	closed    = "unreachable: 2: connect: connection refused"
	hungUp    = "unreachable: 2: hung up in the handshake"
	noTLS     = "unreachable: 2: tls: first record does not look like a TLS handshake"
)

func TestReasons(t *testing.T) {
	for _, row := range []struct {
		name         string
		serve        func(*site) []string // its hosts
		tls12, tls13 string               // every pair's reason
		healthy      bool
	}{
		{"the same keys", func(s *site) []string { return s.serve(s.config("k"), s.config("k")) },
			together, together, true},
		{"other keys", func(s *site) []string { return s.serve(s.config("k"), s.config("l")) },
			apart, apart, false},
		{"a ticket is good once", func(s *site) []string { c := s.once(); return s.serve(c, c) },
			together, together, true},
		{"no tickets", func(s *site) []string { return s.serve(s.ticketless()) },
			"no ticket | does not count", "no ticket | does not count", false},
		{"no tickets in TLS 1.2", func(s *site) []string { return s.serve(s.ticketless12()) },
			"no ticket | does not count", "resumed", true},
		{"no tickets at one", func(s *site) []string { return s.serve(s.config("k"), s.ticketless()) },
			"resumed | full handshake | no ticket | no ticket", "resumed | full handshake | no ticket | no ticket", false},
		{"hangs up after the handshake", func(s *site) []string { return []string{s.listen(s.leaving())} },
			"no ticket | does not count", "no ticket | does not count", false},
		{"TLS 1.3 only", func(s *site) []string { c := s.tls13(); return s.serve(c, c) },
			"no TLS 1.2 | no TLS 1.2 | no TLS 1.2 | no TLS 1.2 | does not count", together, true},
		{"TLS 1.3 only at one", func(s *site) []string { return s.serve(s.config("k"), s.tls13()) },
			"resumed | no TLS 1.2 | no TLS 1.2 | no TLS 1.2", together, false},
		{"nothing in common in TLS 1.2", func(s *site) []string { return s.serve(s.rsa()) },
			"no TLS 1.2: 1: remote error: tls: handshake failure | does not count", "resumed", true},
		{"an unknown CA", func(s *site) []string { return s.serve(s.stranger(), s.config("k")) },
			unknownCA + " | " + unknownCA + " | resumed | resumed", unknownCA + " | " + unknownCA + " | resumed | resumed", false},
		{"another name", func(s *site) []string { s.probe.ServerName = "elsewhere"; return s.serve(s.config("k")) },
			otherName, otherName, false},
		{"a certificate is asked for", func(s *site) []string { return s.serve(s.mutual()) },
			certless, certless, false},
		{"a certificate is asked for, and a lack of it is a bad one", func(s *site) []string { return s.serve(s.mutualBad()) },
			certless, certless, false},
		{"a closed port", func(s *site) []string { return append(s.serve(s.config("k")), s.closed()) },
			"resumed | " + closed + " | " + closed + " | " + closed, "resumed | " + closed + " | " + closed + " | " + closed, false},
		{"hangs up", func(s *site) []string { return append(s.serve(s.config("k")), s.listen(hello)) },
			"resumed | " + hungUp + " | " + hungUp + " | " + hungUp, "resumed | " + hungUp + " | " + hungUp + " | " + hungUp, false},
		{"no TLS", func(s *site) []string { return append(s.serve(s.config("k")), s.listen(greet)) },
			"resumed | " + noTLS + " | " + noTLS + " | " + noTLS, "resumed | " + noTLS + " | " + noTLS + " | " + noTLS, false},
		{"breaks at tickets", func(s *site) []string { return s.serve(s.breaking()) },
			"failed: 1: hung up in the handshake", "failed: 1: hung up in the handshake", false},
		{"no such name", func(s *site) []string { return []string{"nowhere.invalid:443"} },
			"unreachable: 1: no such name | does not count", "unreachable: 1: no such name | does not count", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.probe.Hosts = row.serve(s)
			told := 0
			s.probe.Tell = func(tried, all int) {
				if told++; tried != told || all != 2*len(s.probe.Hosts)*len(s.probe.Hosts) {
					t.Errorf("told of %d of %d after %d calls", tried, all, told)
				}
			}
			r, err := s.probe.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if all := 2 * len(r.Hosts) * len(r.Hosts); told != all {
				t.Errorf("told of %d pairs, want %d", told, all)
			}
			for i, want := range []string{row.tls12, row.tls13} {
				if got := describe(r, r.Versions[i]); got != want {
					t.Errorf("TLS %s: got  %s\nwant %s", r.Versions[i].TLS, got, want)
				}
			}
			if r.Healthy != row.healthy {
				t.Errorf("healthy = %t, want %t", r.Healthy, row.healthy)
			}
		})
	}
}

// TestTwoNames is a ticket that no client would offer.
func TestTwoNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.probe.ServerName = ""
	for _, at := range s.serve(s.config("k"), s.named("other.test")) {
		s.probe.Hosts = append(s.probe.Hosts, strings.Replace(at, "127.0.0.1", []string{siteName, "other.test"}[len(s.probe.Hosts)], 1))
	}
	r, err := s.probe.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const tail = ", so no ticket of it is offered there; name what all are valid for with --servername"
	want := "resumed | certificate: 1: not valid for other.test" + tail + " | certificate: 2: not valid for " + siteName + tail + " | resumed"
	for _, v := range r.Versions {
		if got := describe(r, v); got != want {
			t.Errorf("TLS %s: got  %s\nwant %s", v.TLS, got, want)
		}
	}
}

// TestSilence is a host that accepts and says nothing. It costs one timeout a
// version, however many hosts there are.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.probe.Timeout = 2 * time.Second
	var accepted atomic.Int32
	good := s.config("k")
	s.probe.Hosts = append(s.serve(good, good), s.listen(func(c net.Conn) { accepted.Add(1); drain(c) }))
	r, err := s.probe.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const silent = "unreachable: 3: no answer within 2s"
	want := strings.Join([]string{"resumed", "resumed", silent, "resumed", "resumed", silent, silent, silent, silent}, " | ")
	for _, v := range r.Versions {
		if got := describe(r, v); got != want {
			t.Errorf("TLS %s: got  %s\nwant %s", v.TLS, got, want)
		}
	}
	if got := accepted.Load(); got != 2 {
		t.Errorf("%d connections to the silent host, want 2", got)
	}
}

// TestInterrupt would take an hour if Run did not end with its context.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.probe.Hosts = append(s.serve(s.ticketless()), s.listen(drain), s.listen(func(c net.Conn) { cancel(); drain(c) }))
	s.probe.Timeout = time.Hour
	if r, err := s.probe.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %+v, %v, want %v", r, err, context.Canceled)
	}
}

// TestTrouble is what a version that does not count is said to suffer from.
func TestTrouble(t *testing.T) {
	const bad, unknown = "no ticket: a.test:443: tls: bad ticket", "certificate: b.test:443: not trusted"
	for _, row := range []struct {
		reasons []string
		want    string
	}{
		{[]string{"no ticket", "no ticket"}, ""},
		{[]string{"no TLS 1.2", "no TLS 1.2: a.test:443: handshake failure", "no ticket"}, ""},
		{[]string{"no ticket", bad}, bad},
		{[]string{"no ticket", "no TLS 1.3", unknown, bad}, unknown},
	} {
		var v Version
		for _, reason := range row.reasons {
			v.Pairs = append(v.Pairs, Pair{Reason: reason})
		}
		if got := v.Trouble(); got != row.want {
			t.Errorf("Trouble(%q) = %q, want %q", row.reasons, got, row.want)
		}
	}
}

func TestEachIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3*atOnce + 1
		var calls [n]atomic.Int32
		var begun atomic.Int32
		open := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			each(n, func(i int) {
				begun.Add(1)
				calls[i].Add(1)
				<-open
			})
		})
		synctest.Wait()
		if got := begun.Load(); got != atOnce {
			t.Errorf("%d calls at once, want %d", got, atOnce)
		}
		close(open)
		wg.Wait()
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("%d calls with %d, want 1", got, i)
			}
		}
	})
}

// TestBadTicket is one that crypto/tls refuses, of which no server here has any.
func TestBadTicket(t *testing.T) {
	err := fmt.Errorf("%w: %w", resume.ErrNoTicket, errors.New("tls: bad ticket"))
	if got, want := new(Probe).ticketless(err, host{label: "a.test:443"}, false).String(), "no ticket: a.test:443: tls: bad ticket"; got != want {
		t.Errorf("ticketless(%v) = %q, want %q", err, got, want)
	}
}
