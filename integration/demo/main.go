// Command demo runs a fleet in containers on one machine: an etcd of three
// members with TLS, three nodes, and a client that comes back to random nodes
// and counts who resumes. It needs Go, a Docker engine, and a Compose of any age.
//
//	go run ./integration/demo        # start it, and wait until every pair resumes
//	go run ./integration/demo down   # stop it, and delete all that it left
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	verb := "up"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		verb, args = args[0], args[1:]
	}
	f := flag.NewFlagSet("demo "+verb, flag.ContinueOnError)
	switch verb {
	case "up":
		builder := f.String("builder", "", "build in this `image`, such as golang:1.26, rather than with the Go of this machine")
		if err := f.Parse(args); err != nil {
			return err
		}
		return up(ctx, *builder)
	case "down":
		if err := f.Parse(args); err != nil {
			return err
		}
		return down(ctx)
	case "load": // in a container
		caFile := f.String("ca-file", "", "`file` of the CA that the nodes' certificate is by")
		name := f.String("name", "", "`name` in that certificate")
		address := f.String("http", ":9480", "where to show the matrix as JSON")
		if err := f.Parse(args); err != nil {
			return err
		}
		return load(ctx, *caFile, *name, *address, f.Args())
	}
	return fmt.Errorf("%q: want up, down or load", verb)
}
