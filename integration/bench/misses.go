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
	Interval time.Duration
	Rounds   int    // rotations, at least
	Endpoint string // of etcd, or
	Dir      string // of a file storage
}

const (
	us           = "stekring"
	onFiles      = "Caddy, file storage"
	onFilesEqual = "Caddy, file storage, equal clocks"
	onFilesApart = "Caddy, file storage, clocks a second apart"
	onEtcd       = "Caddy, our etcd storage"
	healthy      = "healthy"
	oneSlow      = "one slowed"
	leadSlow     = "leader slowed"
)

const (
	// Intervals are short, so that rotations fit into a minute; and longer than a
	// rotation takes where that polls for a lock, or where a link is slow.
	shortInterval, longInterval = 2 * time.Second, 8 * time.Second
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
	t := b.table("Misses", "servers", "links", "who", "rotations", "reconnects", "missed", "missed a rotation", "stopped instances")
	var missed error
	for _, servers := range of(b, []int{2, 5}, []int{2}) {
		for _, links := range of(b, []string{healthy, oneSlow, leadSlow}, []string{healthy}) {
			for _, who := range []string{us, onEtcd, onFiles} {
				if links == leadSlow && who != us {
					continue // Caddy's instances have none
				}
				f := missFleet{Who: who, Servers: servers, Links: links, Rounds: of(b, 10, 2), Interval: shortInterval}
				if !b.quick && (links != healthy || who == onFiles) {
					f.Interval, f.Rounds = longInterval, 5
				}
				b.say("misses: %d servers, %s, links %s", servers, who, links)
				r, err := missAlone(ctx, f)
				if err != nil {
					return fmt.Errorf("%s, %d servers, links %s: %w", who, servers, links, err)
				}
				if r.Errors > 0 {
					b.say("misses: it logged %d errors, at last: %s", r.Errors, r.LastError)
				}
				t.row(servers, links, who, r.Rotations, r.Reconnects, r.Missed, float64(r.Missed)/float64(r.Rotations), r.Stopped)
				if who == us && r.Missed > 0 {
					missed = fmt.Errorf("%d of %d reconnects missed ours, with %d servers and links %s", r.Missed, r.Reconnects, servers, links)
				}
			}
		}
	}
	return missed
}

// missAlone measures a fleet in a child.
func missAlone(ctx context.Context, f missFleet) (r missResult, err error) {
	if f.Who == onFiles {
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
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute+time.Duration(5*f.Rounds)*f.Interval, errors.New("too few rotations in time"))
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
	for fleet.rotations() < before+f.Rounds && fleet.troubles().Stopped < f.Servers && ctx.Err() == nil && len(ended) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	// What the last rotation costs comes after it.
	_ = sleep(ctx, f.Interval*3/4)
	rotations := fleet.rotations() - before
	stop()
	if err := errors.Join(<-ended, context.Cause(ctx)); err != nil {
		return r, err
	}
	r = fleet.troubles()
	r.Rotations, r.Reconnects, r.Missed = rotations, s.reconnects, s.missed
	return r, nil
}
