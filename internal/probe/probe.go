// Package probe finds out which TLS servers take each other's session tickets.
// It knows the servers only as any client does.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Probe is what to ask, and how.
type Probe struct {
	Hosts      []string // host:port; a name stands for all of its addresses
	ServerName string   // that certificates must be for; "" is the host of each
	Roots      *x509.CertPool
	Versions   []uint16 // of TLS
	Timeout    time.Duration
	Tell       func(tried, all int) // hears how many pairs are tried, one call at a time; nil is nobody

	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil asks DNS
}

// Report is what came of it.
type Report struct {
	Healthy  bool      `json:"healthy"` // some version counts, and there every pair resumes
	Hosts    []string  `json:"hosts"`
	Versions []Version `json:"versions"`
}

// Version is one version of TLS. It counts if any host gives a ticket in it.
type Version struct {
	TLS    string `json:"tls"`
	Counts bool   `json:"counts"`
	Pairs  []Pair `json:"pairs"` // the first host with each, then the second with each, and so on
}

// Pair is a ticket of one host, offered at another or at the same.
type Pair struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason"` // one of the words, or one that ends with a colon and what it is about

	given bool // From gave a ticket
	deaf  bool // From shakes hands with nobody, in this version
}

// Resumed returns how many pairs resume.
func (v Version) Resumed() (n int) {
	for _, p := range v.Pairs {
		if p.Resumed {
			n++
		}
	}
	return n
}

// Trouble returns, if the version does not count, the first reason that is neither
// that a host gives no ticket nor that it does not speak the version, or "".
func (v Version) Trouble() string {
	for _, p := range v.Pairs {
		if p.Reason != noTicket && !strings.HasPrefix(p.Reason, unspoken) {
			return p.Reason
		}
	}
	return ""
}

// Run probes every pair in every version. It fails only if ctx ends.
func (p *Probe) Run(ctx context.Context) (Report, error) {
	hosts := p.resolve(ctx)
	n := len(hosts)
	var r Report
	for _, h := range hosts {
		r.Hosts = append(r.Hosts, h.label)
	}
	for _, v := range p.Versions {
		r.Versions = append(r.Versions, Version{TLS: strings.TrimPrefix(tls.VersionName(v), "TLS "), Pairs: make([]Pair, n*n)})
	}
	var mu sync.Mutex
	tried := 0
	told := func() {
		mu.Lock()
		defer mu.Unlock()
		if tried++; p.Tell != nil {
			p.Tell(tried, len(p.Versions)*n*n)
		}
	}
	// What a host does with its own ticket comes first: one that gives none, or
	// cannot be reached, would cost every pair that it is in a timeout.
	each(len(p.Versions)*n, func(i int) {
		pairs, h := r.Versions[i/n].Pairs, i%n
		pairs[h*n+h] = p.pair(ctx, hosts[h], hosts[h], p.Versions[i/n])
		told()
	})
	each(len(p.Versions)*n*n, func(i int) {
		pairs, from, to := r.Versions[i/(n*n)].Pairs, i/n%n, i%n
		own, there := pairs[from*n+from], pairs[to*n+to]
		pair := Pair{From: hosts[from].label, To: hosts[to].label}
		switch {
		case from == to:
			return
		case !own.given:
			pair.Reason = own.Reason
		case there.deaf:
			pair.given, pair.Reason = true, there.Reason
		default:
			pair = p.pair(ctx, hosts[from], hosts[to], p.Versions[i/(n*n)])
		}
		pairs[from*n+to] = pair
		told()
	})
	for i := range r.Versions {
		v := &r.Versions[i]
		v.Counts = slices.ContainsFunc(v.Pairs, func(p Pair) bool { return p.given })
		r.Healthy = r.Healthy || v.Counts
	}
	for _, v := range r.Versions {
		r.Healthy = r.Healthy && (!v.Counts || v.Resumed() == n*n)
	}
	return r, ctx.Err()
}

// atOnce is how many connections there are at any time.
const atOnce = 8

// each calls f with 0 to n-1, a few at a time.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
