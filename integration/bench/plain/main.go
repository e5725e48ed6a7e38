// Plain is what integration/linked is without stekring: an HTTPS server, to
// weigh its binary. With the tag etcd it has an etcd client too.
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
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	listen   = flag.String("listen", "127.0.0.1:9443", "`address` to serve at")
	certFile = flag.String("cert", "cert.pem", "certificate `file`")
	keyFile  = flag.String("key", "key.pem", "private key `file`")
)

// more is what the server does beside serving.
var more = func(context.Context) error { return nil }

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run serves HTTPS until ctx ends.
func run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return more(ctx) })
	srv := &http.Server{Addr: *listen, Handler: http.HandlerFunc(page), ReadHeaderTimeout: 10 * time.Second}
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

func page(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "resumed=%t\nproto=%s\n", r.TLS.DidResume, r.Proto)
}
