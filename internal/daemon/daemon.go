// Package daemon is one node as a process: a Rotator, TLS listeners that use its
// ring, and an HTTP side for those who watch.
package daemon

import (
	"context"
	"fmt"
	stdlog "log"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/status"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind/metrics"
)

const (
	// drain is how long connections may finish after a stop.
	drain = 3 * time.Second
	// startup is how long listeners wait for the fleet's ring, so that nobody
	// meets a node that has just started and cannot open the fleet's tickets yet.
	startup = 2 * time.Second
)

// devListener is what --dev serves if the file names nothing else.
const devListener = "127.0.0.1:8443"

// Options is what Run needs beside the configuration.
type Options struct {
	Log   *zap.Logger
	Level zap.AtomicLevel // of Log
	Build string
	Dev   bool
	// Reload returns the configuration anew; it is called for each value that
	// arrives on Hangup.
	Reload func() (*config.Config, error)
	Hangup <-chan os.Signal
}

// Run runs a node until ctx ends, then drains, resigns and returns nil within
// five seconds. It serves TLS once it has the ring, and without etcd after two
// seconds.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	log, asRead := o.Log, *cfg
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	if o.Dev {
		closeDev, err := develop(ctx, cfg, log)
		if err != nil {
			return err
		}
		defer closeDev()
	}
	kek, err := KEK(cfg.Seal)
	if err != nil {
		return err
	}
	if kek == nil { // only --dev comes here without one
		kek = seal.NewKEK()
	}
	client, err := Client(cfg.Etcd, log)
	if err != nil {
		return err
	}
	defer client.Close()

	var addresses []string
	for _, l := range cfg.Listeners {
		addresses = append(addresses, l.Address)
	}
	rot, err := rotator.New(rotator.Config{
		Client: client, Ring: cfg.Ring, ID: cfg.NodeID, Prefix: cfg.Etcd.Prefix, KEK: kek,
		Policy: cfg.Policy(), Outage: rotator.Outage(cfg.Outage), TTL: cfg.Election.TTL,
		Observer: !cfg.Election.Candidate, NoReports: !cfg.Reports.Enabled, Listeners: addresses, Build: o.Build, Log: log,
	})
	if err != nil {
		return err
	}
	log.Info("starting", zap.String("ring", cfg.Ring), zap.String("node", rot.Status().ID),
		zap.Strings("endpoints", cfg.Etcd.Endpoints), zap.Stringer("kek", kek), zap.String("build", o.Build))

	var serving atomic.Bool
	var wg, web sync.WaitGroup
	m := metrics.New(rot)
	f := newFront(rot, cfg.Tickets, m.Observe, log)
	if cfg.HTTP.Address != "" {
		ln, err := net.Listen("tcp", cfg.HTTP.Address)
		if err != nil {
			return fmt.Errorf("daemon: http.address: %w; choose another, or \"\" for none", err)
		}
		page := status.New(status.Config{
			Node: rot, Etcd: client, Layout: fleet.NewLayout(cfg.Etcd.Prefix, cfg.Ring), Listeners: addresses, Build: o.Build, Tickets: m,
		})
		srv := admin(rot, page, cfg.HTTP.Address, exposition(m, cfg.Ring, o.Build, &f.failing), func() []string {
			if !serving.Load() {
				return []string{"starting or stopping"}
			}
			return f.unready()
		}, log)
		// It ends last, so that /readyz says no while connections drain.
		web.Go(func() { _ = srv.Serve(ln) })
		defer web.Wait()
		defer srv.Close()
		pctx, stopPage := context.WithCancel(ctx) // who looks is to look elsewhere at once
		web.Go(func() { page.Run(pctx) })
		defer stopPage()
		log.Info("serving HTTP", zap.Stringer("address", ln.Addr()))
	}
	rctx, stop := context.WithCancel(ctx)
	wg.Go(func() { _ = rot.Run(rctx) })
	wg.Go(func() { versions(rctx, client, log) })
	defer wg.Wait()
	defer stop()
	wait, cancel := context.WithTimeout(ctx, startup)
	_ = rot.Wait(wait)
	cancel()
	if ctx.Err() != nil { // it never served
		log.Info("stopping")
		return nil
	}
	if err := f.start(cfg.Listeners); err != nil {
		return err
	}
	defer f.close()
	serving.Store(true)
	manager := notify(rot, log)
	defer manager.close()

	for {
		select {
		case <-ctx.Done():
			serving.Store(false)
			log.Info("stopping")
			return nil
		case err := <-f.failed:
			return err
		case <-o.Hangup:
			reloaded := manager.reloading()
			next, err := o.Reload()
			if err == nil {
				err = reload(next, o, f, rot, kek, asRead.Election.TTL)
			}
			reloaded()
			if err != nil {
				log.Error("not reloaded; keeping the old configuration", zap.Error(err))
				continue
			}
			for _, w := range next.Warnings {
				log.Warn(w)
			}
			log.Info("reloaded", zap.Strings("needs_restart", needRestart(asRead, next)))
		}
	}
}

// develop fills in what --dev does without: an etcd in this process and a
// listener. What it starts, close ends and deletes.
func develop(ctx context.Context, cfg *config.Config, log *zap.Logger) (closeAll func(), err error) {
	closeAll = func() {}
	if len(cfg.Listeners) == 0 {
		cfg.Listeners = []config.Listener{{Address: devListener}}
	}
	if len(cfg.Etcd.Endpoints) == 0 {
		dir, err := os.MkdirTemp("", "stekring-dev-")
		if err != nil {
			return nil, err
		}
		s, err := etcd.Start(ctx, dir, "127.0.0.1:0", 50*time.Millisecond, zap.NewNop())
		if err != nil {
			_ = os.RemoveAll(dir)
			return nil, err
		}
		cfg.Etcd.Endpoints = []string{s.Endpoint}
		closeAll = func() { s.Close(); _ = os.RemoveAll(dir) }
		log.Warn("development only: etcd in this process, gone when it ends", zap.String("endpoint", s.Endpoint))
	}
	if cfg.Seal.KEKFile == "" {
		log.Warn("development only: a KEK in memory, which no other process has")
	}
	return closeAll, nil
}

// quiet is for what clients do wrong, which is not the operator's business.
func quiet(log *zap.Logger) *stdlog.Logger {
	l, err := zap.NewStdLogAt(log, zap.DebugLevel)
	if err != nil {
		panic(err) // only for a level that there is not
	}
	return l
}
