package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// cell is one way to shake hands.
type cell struct {
	version     uint16
	certificate string
	keys        int
	resumed     bool
}

func (c cell) kind() string {
	if c.resumed {
		return "resumed"
	}
	return "full"
}

// shakes is what handshakes prints.
type shakes struct {
	all, worst, allocs *table

	worstOf map[string][]float64
}

// handshakes compares servers of TLS that live in one process and shake hands in
// turn, in batches so short that what else the machine does disturbs a round as a
// whole or not at all. A batch is of one handshake after the other, so that a
// rate has the client's share in it, and the CPU time has not. Tickets are sealed
// with the oldest key of the ring, behind which only the staged one is tried. A
// ratio is the median of an arm's over the plain server's in the same round.
func handshakes(ctx context.Context, b *bench) error {
	s := shakes{
		all: b.table("Handshakes", "TLS", "certificate", "keys", "kind",
			"automatic/s", "plain/s", "ours/s", "ours+/s", "ours / plain %", "ours+ / plain %",
			"CPU plain µs", "CPU ours µs", "CPU ours+ µs", "CPU ours / plain %", "CPU ours+ / plain %"),
		worst:   b.table("Handshakes: worst ratios", "kind", "ours / plain %", "ours+ / plain %", "CPU ours / plain %", "CPU ours+ / plain %"),
		allocs:  b.table("Allocations on resumption", "TLS", "keys", "plain", "bare hooks", "ours", "ours+"),
		worstOf: map[string][]float64{},
	}
	for _, certificate := range of(b, []string{"ECDSA P-256", "RSA 2048"}, []string{"ECDSA P-256"}) {
		for _, keys := range []int{2, 5, 14} {
			if err := s.server(ctx, b, certificate, keys); err != nil {
				return fmt.Errorf("%s, %d keys: %w", certificate, keys, err)
			}
		}
	}
	for _, kind := range []string{"full", "resumed"} {
		row := []any{kind}
		for _, ratio := range s.worstOf[kind] {
			row = append(row, ratio)
		}
		s.worst.row(row...)
	}
	return nil
}

// server measures all that one process serves.
func (s *shakes) server(ctx context.Context, b *bench, certificate string, keys int) error {
	server, err := startTLS(ctx, certificate, keys)
	if err != nil {
		return err
	}
	defer server.end()
	for _, version := range of(b, []uint16{tls.VersionTLS12, tls.VersionTLS13}, []uint16{tls.VersionTLS13}) {
		name := tls.VersionName(version)
		for _, resumed := range []bool{false, true} {
			c := cell{version, certificate, keys, resumed}
			m, err := c.measure(ctx, b, server)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", name, c.kind(), err)
			}
			r := []float64{m.rate.ratio(ours), m.rate.ratio(observed), m.cpu.ratio(ours), m.cpu.ratio(observed)}
			s.all.row(name, certificate, keys, c.kind(),
				m.rate[automatic].at(50), m.rate[plain].at(50), m.rate[ours].at(50), m.rate[observed].at(50), r[0], r[1],
				m.cpu[plain].at(50), m.cpu[ours].at(50), m.cpu[observed].at(50), r[2], r[3])
			if w := s.worstOf[c.kind()]; w != nil {
				r = []float64{min(r[0], w[0]), min(r[1], w[1]), max(r[2], w[2]), max(r[3], w[3])}
			}
			s.worstOf[c.kind()] = r
			b.say("%s, %s, %d keys, %s: ours / plain %s %%", name, certificate, keys, c.kind(), short(m.rate.ratio(ours)))
		}
		if certificate != "ECDSA P-256" {
			continue // a resumption uses no certificate
		}
		row := []any{name, keys}
		for _, arm := range []int{plain, bareHooks, ours, observed} {
			n, err := server.allocs(ctx, arm, version)
			if err != nil {
				return fmt.Errorf("%s, allocations: %w", name, err)
			}
			row = append(row, n)
		}
		s.allocs.row(row...)
	}
	return nil
}

// figures are one for each arm and round. What only has hooks is not timed.
type figures [bareHooks]sample

// ratio is the median of an arm's figures over the plain server's, in percent.
func (f figures) ratio(arm int) float64 {
	var all sample
	for round, figure := range f[arm] {
		all = append(all, 100*figure/f[plain][round])
	}
	return all.at(50)
}

// measured is handshakes a second, and microseconds of the server's for each.
type measured struct{ rate, cpu figures }

func (c cell) measure(ctx context.Context, b *bench, s *tlsServer) (m measured, err error) {
	var clients [bareHooks]*tls.Config
	for arm := range clients {
		if clients[arm], err = s.client(ctx, arm, c.version, c.resumed); err != nil {
			return m, err
		}
	}
	rounds := 240
	if c.resumed {
		rounds = 640 // what is quick is easily disturbed
	}
	const aim = 5 * time.Millisecond // how long a batch is about
	n := 50                          // handshakes of a batch, until it is known how many it should have
	for round := range 1 + of(b, rounds, 4) {
		start := time.Now()
		for turn := range clients {
			// In four rounds each arm is once in each place, and once after each other,
			// whose garbage it may have to collect.
			arm := ([...]int{0, 1, 3, 2}[turn] + round) % len(clients)
			wall, cpu, err := s.batch(arm, clients[arm], c.resumed, n)
			if err != nil {
				return m, err
			}
			if round > 0 { // the first warms up
				m.rate[arm] = append(m.rate[arm], float64(n)/wall.Seconds())
				m.cpu[arm] = append(m.cpu[arm], 1e6*cpu.Seconds()/float64(n))
			}
		}
		if round == 0 {
			n = max(4, int(time.Duration(n*len(clients))*aim/time.Since(start)))
			if err := s.ask(); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}
