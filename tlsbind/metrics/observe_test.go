package metrics_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// events are of every kind, and of none.
func events() (all []tlsbind.Event) {
	for kind := tlsbind.Kind(0); kind <= tlsbind.Resumed+1; kind++ {
		for _, version := range []uint16{0, tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13, 0xffff} {
			for role := keyring.Role(0); role <= keyring.Staged+1; role++ {
				for _, age := range []time.Duration{-1, 0, time.Hour, 365 * 24 * time.Hour} {
					all = append(all, tlsbind.Event{Kind: kind, Version: version, Role: role, Age: age})
				}
			}
		}
	}
	return all
}

// TestObserveAllocatesNothing guards what a handshake pays, and that no event
// makes a panic.
func TestObserveAllocatesNothing(t *testing.T) {
	m, _ := alone(t, "www")
	for _, e := range events() {
		if n := testing.AllocsPerRun(10, func() { m.Observe(e) }); n != 0 {
			t.Errorf("Observe(%+v) allocates %v times, want 0", e, n)
		}
	}
}

// TestObserveAtOnce has events come from many connections while somebody looks.
func TestObserveAtOnce(t *testing.T) {
	const connections, each = 8, 20
	m, reg := alone(t, "www")
	all := events()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for range each {
				for _, e := range all {
					m.Observe(e)
				}
			}
		})
	}
	wg.Go(func() { scrape(t, reg) })
	wg.Wait()
	want := map[string]float64{}
	for _, e := range all {
		version := map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}[e.Version]
		if version == "" {
			version = "other"
		}
		role := map[keyring.Role]string{keyring.Active: "active", keyring.Retired: "retired", keyring.Staged: "staged"}[e.Role]
		if role == "" {
			role = "unknown"
		}
		switch e.Kind {
		case tlsbind.Issued:
			want[fmt.Sprintf(`tickets_issued_total{ring="www",tls="%s"}`, version)] += connections * each
		case tlsbind.Opened:
			want[fmt.Sprintf(`tickets_opened_total{ring="www",role="%s",tls="%s"}`, role, version)] += connections * each
			if e.Age >= 0 {
				want[fmt.Sprintf(`ticket_age_seconds_count{ring="www",role="%s"}`, role)] += connections * each
			}
		case tlsbind.Full, tlsbind.Resumed:
			want[fmt.Sprintf(`handshakes_total{mode="%s",ring="www",tls="%s"}`, e.Kind, version)] += connections * each
		case tlsbind.NoKey, tlsbind.TooLarge, tlsbind.TooOld, tlsbind.Elsewhere:
			want[fmt.Sprintf(`tickets_missed_total{reason="%s",ring="www",tls="%s"}`, e.Kind, version)] += connections * each
		}
	}
	_, got := scrape(t, reg)
	if len(want) != 3+12+4+6+12 {
		t.Fatalf("%d series, want one for each meaning", len(want))
	}
	for s, n := range want {
		if got["stekring_"+s] != n {
			t.Errorf("%s = %v, want %v", s, got["stekring_"+s], n)
		}
	}
}

// TestAgesFallIntoBuckets looks at the bounds: a bucket has what is at most its le.
func TestAgesFallIntoBuckets(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0: "1", time.Second: "1", 2 * time.Second: "10", time.Hour: "3600", 13 * time.Hour: "86400", 7 * 24 * time.Hour: "604800", 8 * 24 * time.Hour: "+Inf",
	} {
		m, reg := alone(t, "www")
		m.Observe(tlsbind.Event{Kind: tlsbind.Opened, Role: keyring.Retired, Age: age})
		body, _ := scrape(t, reg)
		for line := range strings.Lines(body) { // the first that has it is its own
			if strings.HasPrefix(line, `stekring_ticket_age_seconds_bucket{ring="www",role="retired",`) && strings.HasSuffix(line, " 1\n") {
				if !strings.Contains(line, `le="`+want+`"`) {
					t.Errorf("an age of %v is in %s, want %s", age, line, want)
				}
				break
			}
		}
	}
}

// TestTwoRings has two rings in one process, and the default registry left alone.
func TestTwoRings(t *testing.T) {
	a, _ := alone(t, "a")
	b, _ := alone(t, "b")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(a, b)
	b.Observe(tlsbind.Event{Kind: tlsbind.Issued, Version: tls.VersionTLS13})
	_, got := scrape(t, reg)
	for ring, want := range map[string]float64{"a": 0, "b": 1} {
		if n, ok := got[`stekring_tickets_issued_total{ring="`+ring+`",tls="1.3"}`]; !ok || n != want {
			t.Errorf("ring %s: %v issued, %t, want %v", ring, n, ok, want)
		}
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "stekring_") {
			t.Errorf("%s is in the default registry", f.GetName())
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	m, _ := alone(b, "www")
	e := tlsbind.Event{Kind: tlsbind.Opened, Version: tls.VersionTLS13, Role: keyring.Active, Age: time.Hour}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe(e)
		}
	})
}
