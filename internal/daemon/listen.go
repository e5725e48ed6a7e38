package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/tlsbind"
)

// front is the TLS listeners of a node.
type front struct {
	rot     *rotator.Rotator
	tickets config.Tickets
	observe func(tlsbind.Event)
	log     *zap.Logger
	failed  chan error   // a listener that ended by itself
	failing atomic.Int64 // listeners whose last check failed

	listeners map[string]*listener // by configured address
	first     []*listener          // those of the start
	serving   sync.WaitGroup       // for all of them
}

// listener serves one address. What it serves can be replaced while it does.
type listener struct {
	address string // as bound
	srv     *http.Server
	content atomic.Pointer[content]

	trouble  atomic.Pointer[string] // why it is not known to resume; nil is that it was once
	replaced chan struct{}          // has one when content is another
	end      context.CancelFunc     // of its checks
}

func newFront(rot *rotator.Rotator, tickets config.Tickets, observe func(tlsbind.Event), log *zap.Logger) *front {
	return &front{rot: rot, tickets: tickets, observe: observe, log: log, failed: make(chan error, 1), listeners: map[string]*listener{}}
}

// apply makes the listeners those of the configuration. Addresses that stay keep
// their connections. If anything is wrong, nothing changes.
func (f *front) apply(want []config.Listener) error {
	ready := map[string]*content{}
	opened := map[string]net.Listener{}
	undo := func() {
		for _, ln := range opened {
			_ = ln.Close()
		}
	}
	for _, l := range want {
		c, err := f.prepare(l)
		if err != nil {
			undo()
			return err
		}
		ready[l.Address] = c
		if f.listeners[l.Address] == nil {
			ln, err := net.Listen("tcp", l.Address)
			if err != nil {
				undo()
				return fmt.Errorf("daemon: listeners: %w", err)
			}
			opened[l.Address] = ln
		}
	}
	for address, l := range f.listeners {
		if ready[address] == nil {
			delete(f.listeners, address)
			f.serving.Go(func() { l.stop(drain) })
			l.trouble.Store(nil) // which is nobody's any more
		}
	}
	for address, c := range ready {
		if ln := opened[address]; ln != nil {
			f.serve(address, ln, c)
			continue
		}
		f.listeners[address].replace(c)
	}
	return nil
}

func (f *front) serve(address string, ln net.Listener, c *content) {
	l := &listener{address: ln.Addr().String(), replaced: make(chan struct{}, 1)}
	l.content.Store(c)
	l.srv = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.content.Load().handler.ServeHTTP(w, r) }),
		TLSConfig: &tls.Config{
			GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { return l.content.Load().config(h) },
		},
		ReadHeaderTimeout: 10 * time.Second, // bounds the handshake too
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          quiet(f.log),
	}
	f.listeners[address] = l
	f.log.Info("serving TLS", zap.String("address", l.address))
	f.serving.Go(func() {
		if err := l.srv.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			select {
			case f.failed <- fmt.Errorf("daemon: listener %s: %w", address, err):
			default: // one is enough to end the node
			}
		}
	})
	var ctx context.Context
	ctx, l.end = context.WithCancel(context.Background()) // it ends with the listener
	if f.tickets.Enabled {
		l.trouble.Store(&unchecked)
		f.serving.Go(func() { f.prove(ctx, l) })
	}
}

// close drains every listener and waits for it.
func (f *front) close() {
	for _, l := range f.listeners {
		f.serving.Go(func() { l.stop(drain) })
	}
	f.serving.Wait()
}

// replace has it serve something else from the next connection on.
func (l *listener) replace(c *content) {
	l.content.Store(c)
	select {
	case l.replaced <- struct{}{}:
	default:
	}
}

// stop lets connections finish for as long as grace, and cuts the rest.
func (l *listener) stop(grace time.Duration) {
	l.end()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if l.srv.Shutdown(ctx) != nil {
		_ = l.srv.Close()
	}
}
