package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/tlsbind"
)

// growth is what a node holds after more and more rotations: a leader, with a
// bound TLS server. This process writes the rings, as if an hour had passed
// between them, each when the node has the one before.
func growth(ctx context.Context, b *bench) error {
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	ring, rotations := hourly(), of(b, 10_000, 500)
	if err := l.putRing(ctx, "www", ring); err != nil {
		return err
	}
	heard := make(chan said, 100)
	n, err := startNode(ctx, nodeOptions{
		endpoint: l.endpoint, kekFile: l.kekFile, ring: "www", id: "a", ttl: rotator.DefaultTTL, rotations: rotations,
	}, heard)
	if err != nil {
		return err
	}
	defer n.end()
	if _, err := await(ctx, heard, "ready", time.Minute); err != nil {
		return err
	}

	t := b.table("Growth over rotations", "rotations", "heap MB", "goroutines", "RSS MB",
		"allocations a rotation, lately", "handshakes", "resumed")
	for i := range rotations {
		ring = later(ring)
		if err := l.putRing(ctx, "www", ring); err != nil {
			return err
		}
		took, err := await(ctx, heard, "took", time.Minute)
		if err != nil {
			return fmt.Errorf("rotation %d: %w", i+1, err)
		}
		report, is := strings.CutPrefix(took.text, "took and weighs ")
		if !is || !slices.Contains([]int{rotations / 10, rotations / 5, rotations / 2, rotations}, i+1) {
			continue
		}
		var g grownBy
		if err := json.Unmarshal([]byte(report), &g); err != nil {
			return err
		}
		t.row(i+1, float64(g.Heap)/1e6, g.Goroutines, float64(g.RSS)/1e6, g.Lately, g.Handshakes, g.Resumed)
		b.say("rotation %d of %d", i+1, rotations)
	}
	return nil
}

// grownBy is what the node says after every tenth of the rotations.
type grownBy struct {
	weight
	Lately     float64 `json:"lately"` // allocations a rotation since the last time
	Handshakes int     `json:"handshakes"`
	Resumed    int     `json:"resumed"`
}

// grow follows the ring through so many rotations, and asks for its keys at each.
func grow(ctx context.Context, rot *rotator.Rotator, o nodeOptions) error {
	cert, _, err := devcert.New("localhost")
	if err != nil {
		return err
	}
	server := tlsbind.Config(&tls.Config{Certificates: []tls.Certificate{cert}}, rot)
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for { // so that becoming the leader is no growth
		if rot.Status().Leader {
			break
		}
		if sleep(ctx, 10*time.Millisecond) != nil {
			return nil
		}
	}
	var g grownBy
	if g.weight, err = weigh(o.endpoint); err != nil {
		return err
	}
	fmt.Println("ready")
	ring := rot.Ring()
	for i := range o.rotations {
		if ring, err = next(ctx, rot, ring); err != nil {
			return nil
		}
		ring.TicketKeys("")
		const often = 10 // handshakes cost more than all else
		if (i+1)%often == 0 {
			resumed, err := handshake(server, client)
			if err != nil {
				return err
			}
			if g.Handshakes++; resumed {
				g.Resumed++
			} else if g.Handshakes > 1 {
				return errors.New("a ticket did not open")
			}
		}
		if tenth := o.rotations / 10; (i+1)%tenth == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			g.Lately = float64(m.Mallocs-g.Mallocs) / float64(tenth)
			if g.weight, err = weigh(o.endpoint); err != nil {
				return err
			}
			line, err := json.Marshal(g)
			if err != nil {
				return err
			}
			fmt.Printf("took and weighs %s\n", line)
			continue
		}
		fmt.Println("took")
	}
	<-ctx.Done()
	return nil
}

// next waits for the version after that of ring.
func next(ctx context.Context, rot *rotator.Rotator, ring *keyring.Ring) (*keyring.Ring, error) {
	have := ring.Info().Version
	for ring.Info().Version == have {
		var err error
		if ring, err = rot.Await(ctx, ring); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// handshake is one, over a pipe, and the ticket that comes after it.
func handshake(server, client *tls.Config) (resumed bool, err error) {
	near, far := net.Pipe()
	defer near.Close()
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		_, err := tls.Server(far, server).Write([]byte{1})
		served <- err
	}()
	// A deadline of the pipe's own would keep it in memory for as long, closed or not.
	defer time.AfterFunc(10*time.Second, func() { near.Close() }).Stop()
	conn := tls.Client(near, client)
	_, err = conn.Read(make([]byte, 1))
	resumed = conn.ConnectionState().DidResume
	if err == nil {
		err = <-served
	}
	return resumed, err
}
