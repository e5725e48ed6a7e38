// Bench measures what a rotation, a handshake, a fail-over and a node cost,
// beside the peer that people run today and beside what is possible at all, in
// one run on one machine. It prints a table for each, and JSON.
//
//	go run . [-only rotation,misses] [-nodes 3,100] [-quick] [-json FILE]
//
// It runs itself again for what must be a process of its own: every etcd, and
// nodes that are killed or weighed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sections are what can be measured, in the order in which it is.
var sections = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"rotation", rotation},
	{"cost", cost},
	{"peer", peer},
	{"misses", misses},
	{"handshakes", handshakes},
	{"failover", failover},
	{"footprint", footprint},
	{"binary", binary},
	{"start", starts},
	{"growth", growth},
	{"scale", scale},
	{"simulate", simulate},
}

// roles are what this program does as a child of itself.
var roles = map[string]func(args []string) error{
	"etcd":       etcdRole,
	"peer":       answers(peerRole),
	"misses":     answers(missRole),
	"tls-server": tlsServerRole,
	"node":       nodeRole,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if name, args, child := asChild(); child {
		go untilParentEnds()
		return roles[name](args)
	}
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	only := flag.String("only", strings.Join(names, ","), "`SECTIONS` to measure")
	quick := flag.Bool("quick", false, "small fleets and few rounds: shows that it works, and no figures worth quoting")
	nodes := flag.String("nodes", "", "of rotation and peer, only the fleets of these `NUMBERS` of nodes")
	into := flag.String("json", "", "also write the result as JSON to `FILE`")
	flag.Parse()
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only %q: want some of %s", name, strings.Join(names, ","))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := newBench(*quick)
	if *nodes != "" {
		b.nodes = strings.Split(*nodes, ",")
	}
	for _, n := range b.nodes {
		if !slices.ContainsFunc(sizes(b), func(z size) bool { return strconv.Itoa(z.nodes) == n }) {
			return fmt.Errorf("-nodes %q: no fleet has so many; see sizes in rotation.go", n)
		}
	}
	for _, s := range sections {
		if !slices.Contains(chosen, s.name) {
			continue
		}
		start, had := time.Now(), len(b.result.Tables)
		err := s.run(ctx, b)
		for _, t := range b.result.Tables[had:] {
			t.print()
		}
		if *into != "" { // at once, as what comes may fail
			err = errors.Join(err, b.write(*into))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.say("%s took %v", s.name, time.Since(start).Round(time.Second))
	}
	return nil
}

// sleep pauses for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
