package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// missFleet is servers to which clients come back while their keys rotate.
type missFleet struct {
	Who      string
	Servers  int
	Links    string
	Rounds   int    // rotations, at least
	Endpoint string // of etcd, or
	Dir      string // of a file storage
}

const (
	us           = "stekring"
	onFiles      = "Caddy, file storage"
	onFilesEqual = "Caddy, file storage, equal clocks"
	onEtcd       = "Caddy, etcd storage"
	healthy      = "healthy"
	oneSlow      = "one slowed"
	leadSlow     = "leader slowed"
)

const (
	// missInterval is short, so that many rotations fit into a minute. What a
	// rotation can cost does not depend on it, but how often one does.
	missInterval = 2 * time.Second
	// ticketLife is for how long a ticket should resume, by what both are told.
	ticketLife = 24 * time.Second
	// oneWay is how much later all arrives over a slowed link, in each direction.
	oneWay = 250 * time.Millisecond
)

// missResult is what was seen of one.
type missResult struct {
	Rotations, Reconnects, Missed int
	Errors, Stopped               int // of Caddy's instances
	LastError                     string
}

// misses measures what clients notice of rotations.
func misses(ctx context.Context, b *bench) error {
	t := b.table("Misses", "servers", "links", "who", "rotations", "reconnects", "missed", "missed %", "stopped instances")
	for _, servers := range of(b, []int{2, 5}, []int{2}) {
		for _, links := range of(b, []string{healthy, oneSlow, leadSlow}, []string{healthy}) {
			for _, who := range of(b, []string{us, onEtcd, onFiles, onFilesEqual}, []string{us, onEtcd, onFiles}) {
				if links == leadSlow && who != us || links == oneSlow && who == onFilesEqual {
					continue // Caddy's instances have no leader; what is slow is not at once
				}
				f := missFleet{Who: who, Servers: servers, Links: links, Rounds: of(b, 10, 2)}
				b.say("misses: %d servers, %s, links %s", servers, who, links)
				r, err := missAlone(ctx, f)
				if err != nil {
					return fmt.Errorf("%s, %d servers, links %s: %w", who, servers, links, err)
				}
				if r.Errors > 0 {
					b.say("misses: it logged %d errors, at last: %s", r.Errors, r.LastError)
				}
				t.row(servers, links, who, r.Rotations, r.Reconnects, r.Missed, 100*float64(r.Missed)/float64(r.Reconnects), r.Stopped)
			}
		}
	}
	return nil
}

// missAlone measures a fleet in a child.
func missAlone(ctx context.Context, f missFleet) (r missResult, err error) {
	if f.Who == onFiles || f.Who == onFilesEqual {
		f.Dir = "new"
	}
	end, err := place(ctx, &f.Dir, &f.Endpoint)
	if err != nil {
		return r, err
	}
	defer end()
	return ask[missResult](ctx, "misses", f)
}

// missRole measures a fleet and its clients in this process.
func missRole(ctx context.Context, f missFleet) (r missResult, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute+time.Duration(5*f.Rounds)*missInterval, errors.New("too few rotations in time"))
	defer cancel()
	s, err := newStreet()
	if err != nil {
		return r, err
	}
	start := f.caddy
	if f.Who == us {
		start = f.stekring
	}
	fleet, err := start(ctx, s.base)
	if err != nil {
		return r, err
	}
	defer fleet.end()
	if err := s.open(fleet.configs); err != nil {
		return r, err
	}
	defer s.close()
	before := fleet.rotations()
	visits, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.visit(visits) }()
	for fleet.rotations() < before+f.Rounds && ctx.Err() == nil && len(ended) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	// What the last rotation costs comes after it.
	select {
	case <-ctx.Done():
	case <-time.After(missInterval * 3 / 4):
	}
	rotations := fleet.rotations() - before
	stop()
	if err := errors.Join(<-ended, context.Cause(ctx)); err != nil {
		return r, err
	}
	r = fleet.troubles()
	r.Rotations, r.Reconnects, r.Missed = rotations, s.reconnects, s.missed
	return r, nil
}
