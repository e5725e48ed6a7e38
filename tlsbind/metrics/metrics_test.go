package metrics_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/internal/resume"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind"
	"github.com/stekring/stekring/tlsbind/metrics"
)

// alone returns the metrics of a Rotator that nobody runs, and its registry.
func alone(t testing.TB, name string) (*metrics.Metrics, *prometheus.Registry) {
	t.Helper()
	rot, err := rotator.New(rotator.Config{Client: clientv3.NewCtxClient(context.Background()), Ring: name, KEK: seal.NewKEK()})
	if err != nil {
		t.Fatal(err)
	}
	m, reg := metrics.New(rot), prometheus.NewPedanticRegistry()
	reg.MustRegister(m)
	return m, reg
}

// scrape returns what Prometheus gets: all of it, and the value of each series.
func scrape(t testing.TB, reg *prometheus.Registry) (body string, series map[string]float64) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("scraping: %d %s", w.Code, w.Body)
	}
	series = map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[name+"}"] = v
	}
	return w.Body.String(), series
}

// source is a Source whose ring can be replaced.
type source struct{ atomic.Pointer[keyring.Ring] }

func (s *source) Ring() *keyring.Ring { return s.Load() }

func of(r *keyring.Ring) *source { s := new(source); s.Store(r); return s }

func fresh() *keyring.Ring { return keyring.DefaultPolicy.First(1, 1, time.Now()) }

// next rotates as if an interval had passed.
func next(t *testing.T, r *keyring.Ring) *keyring.Ring {
	t.Helper()
	now := time.Now()
	n, err := keyring.DefaultPolicy.Next(r, now.Add(-keyring.DefaultPolicy.Interval), now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var certificate = sync.OnceValue(func() tls.Certificate {
	cert, _, err := devcert.New("a.test")
	if err != nil {
		panic(err)
	}
	return cert
})

// bound returns a server's configuration with a clock that is ahead by so much.
func bound(t testing.TB, b tlsbind.Binder, ahead *atomic.Int64) *tls.Config {
	t.Helper()
	c, err := b.Config(&tls.Config{
		Certificates: []tls.Certificate{certificate()}, NextProtos: []string{},
		Time: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// visit makes one connection to a server, and returns the ticket that it gives.
func visit(t testing.TB, server *tls.Config, version uint16, name string, offer *tls.ClientSessionState) *tls.ClientSessionState {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		_, _ = io.Copy(io.Discard, tls.Server(there, server))
	}()
	defer func() { _ = here.Close(); <-done }()
	cache := &resume.Cache{Offer: offer}
	c := tls.Client(here, &tls.Config{
		ServerName: name, InsecureSkipVerify: true, ClientSessionCache: cache, MinVersion: version, MaxVersion: version,
	})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := cache.Await(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestEveryEventIsCounted makes one connection for each kind of event, and wants
// nothing else to be counted.
func TestEveryEventIsCounted(t *testing.T) {
	for version, v := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
		t.Run(v, func(t *testing.T) {
			m, reg := alone(t, "www")
			ring := fresh()
			src, ahead := of(ring), new(atomic.Int64)
			strict := bound(t, tlsbind.Binder{Source: src, PerName: true, MaxSessionAge: time.Hour, Observe: m.Observe}, ahead)
			free := bound(t, tlsbind.Binder{Source: src, Observe: m.Observe}, ahead)
			early := bound(t, tlsbind.Binder{Source: of(next(t, ring)), Observe: func(tlsbind.Event) {}}, ahead)
			unmarked := bound(t, tlsbind.Binder{Source: src}, ahead)

			count := func(name, labels string) string {
				return fmt.Sprintf(`stekring_%s{%sring="www",tls="%s"}`, name, labels, v)
			}
			full := count("handshakes_total", `mode="full",`)
			resumed := count("handshakes_total", `mode="resumed",`)
			issued := count("tickets_issued_total", "")
			opened := func(role string) string {
				return fmt.Sprintf(`stekring_tickets_opened_total{ring="www",role="%s",tls="%s"}`, role, v)
			}
			missed := func(reason string) string {
				return fmt.Sprintf(`stekring_tickets_missed_total{reason="%s",ring="www",tls="%s"}`, reason, v)
			}
			aged := func(role string) string {
				return fmt.Sprintf(`stekring_ticket_age_seconds_count{ring="www",role="%s"}`, role)
			}

			_, before := scrape(t, reg)
			counts := func(what string, server *tls.Config, name string, offer *tls.ClientSessionState, want ...string) *tls.ClientSessionState {
				t.Helper()
				got := visit(t, server, version, name, offer)
				// By TLS 1.2, whoever resumes gets its ticket back.
				if want[0] != resumed || version == tls.VersionTLS13 {
					want = append(want, issued)
				}
				_, after := scrape(t, reg)
				changes, wanted := map[string]float64{}, map[string]float64{}
				for s, value := range after {
					if old, ok := before[s]; !ok || value != old {
						changes[s] = value - old
					}
				}
				maps.DeleteFunc(changes, func(s string, _ float64) bool {
					return !strings.Contains(s, "_total") && !strings.Contains(s, "_count")
				})
				for _, s := range want {
					wanted[s] = 1
				}
				if !maps.Equal(changes, wanted) {
					t.Errorf("%s: counted %v, want %v", what, changes, wanted)
				}
				before = after
				return got
			}

			own := counts("no ticket", strict, "a.test", nil, full)
			counts("its own ticket", strict, "a.test", own, resumed, opened("active"), aged("active"))
			counts("one for another name", strict, "b.test", own, full, missed("elsewhere"))
			counts("one of a server that is ahead", free, "a.test", visit(t, early, version, "a.test", nil), resumed, opened("staged"), aged("staged"))
			counts("one that says nothing of itself", free, "a.test", visit(t, unmarked, version, "a.test", nil), resumed, opened("unknown"))
			src.Store(next(t, ring))
			counts("one of before a rotation", strict, "a.test", own, resumed, opened("retired"), aged("retired"))
			ahead.Store(int64(2 * time.Hour))
			counts("an old one", strict, "a.test", own, full, missed("too_old"))
			src.Store(fresh())
			counts("one whose key is gone", strict, "a.test", own, full, missed("no_key"))
			_, state, err := own.ResumptionState()
			if err != nil {
				t.Fatal(err)
			}
			large, err := tls.NewResumptionState(make([]byte, 17<<10), state)
			if err != nil {
				t.Fatal(err)
			}
			counts("a large one", strict, "a.test", large, full, missed("too_large"))
		})
	}
}

// TestClientsMakeNoSeries offers a thousand names, and looks for them.
func TestClientsMakeNoSeries(t *testing.T) {
	m, reg := alone(t, "www")
	ring := fresh()
	server := bound(t, tlsbind.Binder{Source: of(ring), PerName: true, Observe: m.Observe}, new(atomic.Int64))
	_, before := scrape(t, reg)
	ticket := visit(t, server, tls.VersionTLS13, "first.name.test", nil)
	for i := range 1000 {
		visit(t, server, tls.VersionTLS13, fmt.Sprintf("%d.name.test", i), ticket)
	}
	body, after := scrape(t, reg)
	if len(after) != len(before) || len(after) < 100 {
		t.Errorf("%d series after a thousand names, %d before", len(after), len(before))
	}
	if got := after[`stekring_tickets_missed_total{reason="elsewhere",ring="www",tls="1.3"}`]; got != 1000 {
		t.Errorf("%v tickets were elsewhere, want 1000", got)
	}
	secrets := []string{"name.test"}
	for i, k := range ring.TicketKeys("") {
		secrets = append(secrets, ring.Info().Keys[i].ID, fmt.Sprintf("%x", k), string(k[:]))
	}
	for _, s := range secrets {
		if strings.Contains(body, s) {
			t.Errorf("the metrics hold %q", s)
		}
	}
}
