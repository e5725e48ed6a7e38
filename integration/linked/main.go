// Linked is an HTTPS server with what it takes to share the tickets of a fleet,
// and nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind"
)

var (
	endpoints = flag.String("etcd", "http://127.0.0.1:2379", "`URLs` of etcd, separated by commas")
	kekFile   = flag.String("kek", "kek", "`file` with the KEK, from stekring keygen")
	listen    = flag.String("listen", "127.0.0.1:9443", "`address` to serve at")
	certFile  = flag.String("cert", "cert.pem", "certificate `file`")
	keyFile   = flag.String("key", "key.pem", "private key `file`")
	interval  = flag.Duration("interval", time.Hour, "from one rotation to the next; tickets live twelve times as long")
	ttl       = flag.Duration("ttl", rotator.DefaultTTL, "how soon a leader's death is noticed")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// linked:begin

// run serves HTTPS with the fleet's tickets until ctx ends.
func run(ctx context.Context) error {
	kek, err := seal.LoadKEK(*kekFile)
	if err != nil {
		return err
	}
	log, err := zap.NewProduction(zap.AddStacktrace(zap.FatalLevel))
	if err != nil {
		return err
	}
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints:         strings.Split(*endpoints, ","), // and TLS, for https
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Logger: zap.NewNop(), // the rotator says what matters
	})
	if err != nil {
		return err
	}
	defer etcd.Close() // Run has returned by then

	rot, err := rotator.New(rotator.Config{
		Client: etcd, Ring: "www", KEK: kek, TTL: *ttl, Log: log,
		Policy: keyring.Policy{Interval: *interval, TicketLifetime: 12 * *interval},
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return rot.Run(ctx) }) // ends with ctx: resigns, then returns

	startup, cancel := context.WithTimeout(ctx, 3*time.Second)
	rot.Wait(startup) // bounded; TLS works without it
	cancel()

	srv := &http.Server{Addr: *listen, Handler: page(rot), ReadHeaderTimeout: 10 * time.Second}
	srv.TLSConfig = tlsbind.Config(srv.TLSConfig, rot)
	g.Go(func() error { return srv.ListenAndServeTLS(*certFile, *keyFile) })

	<-ctx.Done() // by a signal, or because the server cannot listen
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	drained := srv.Shutdown(drain)
	if err := g.Wait(); !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return drained
}

// linked:end

// page says on which node a connection came, and whether it was resumed.
func page(rot *rotator.Rotator) http.Handler {
	node := rot.Status().ID
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "node=%s\nresumed=%t\nproto=%s\n", node, r.TLS.DidResume, r.Proto)
	})
}
