package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/internal/resume"
)

const (
	visitors = 4
	// pause is from one connection of a visitor to its next one: short, because a
	// ticket only misses where the last rotation has not arrived when it comes.
	pause = 20 * time.Millisecond
)

// street is TLS servers side by side, and visitors who go from one to the next.
type street struct {
	base  *tls.Config // of every server
	roots *x509.CertPool
	doors []net.Listener
	done  sync.WaitGroup

	mu                 sync.Mutex // guards the rest
	reconnects, missed int
}

func newStreet() (*street, error) {
	cert, ca, err := devcert.New("localhost")
	if err != nil {
		return nil, err
	}
	s := &street{roots: x509.NewCertPool(), base: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}}
	s.roots.AppendCertsFromPEM(ca)
	return s, nil
}

// open starts a server with each configuration.
func (s *street) open(configs []*tls.Config) error {
	for _, c := range configs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return err
		}
		s.doors = append(s.doors, ln)
		s.done.Go(func() { s.serve(ln, c) })
	}
	return nil
}

// close ends the servers and waits for their connections.
func (s *street) close() {
	for _, ln := range s.doors {
		ln.Close()
	}
	s.done.Wait()
}

// serve shakes hands, which gives a ticket, and has the visitor close.
func (s *street) serve(ln net.Listener, config *tls.Config) {
	for {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		s.done.Go(func() {
			defer raw.Close()
			_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.Copy(io.Discard, tls.Server(raw, config))
		})
	}
}

// visit has visitors come until ctx ends, or one cannot connect.
func (s *street) visit(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for i := range visitors {
		all.Go(func() {
			if err := s.visitor(ctx, i); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// visitor goes from door to door, and at each offers the ticket of the last one.
func (s *street) visitor(ctx context.Context, first int) error {
	var ticket *tls.ClientSessionState
	var came time.Time
	time.Sleep(rand.N(pause))
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := first; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		counts := ticket != nil && time.Since(came) < ticketLife
		began := time.Now()
		resumed, next, err := s.call(s.doors[i%len(s.doors)].Addr().String(), ticket)
		if err != nil {
			return fmt.Errorf("a visitor: %w", err)
		}
		ticket, came = next, began
		if !counts {
			continue
		}
		s.mu.Lock()
		s.reconnects++
		if !resumed {
			s.missed++
		}
		s.mu.Unlock()
	}
}

// call connects once, and reports whether the ticket was taken, and the next.
func (s *street) call(address string, ticket *tls.ClientSessionState) (resumed bool, next *tls.ClientSessionState, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, nil, err
	}
	defer raw.Close()
	cache := &resume.Cache{Offer: ticket}
	conn := tls.Client(raw, &tls.Config{ServerName: "localhost", RootCAs: s.roots, ClientSessionCache: cache, MinVersion: tls.VersionTLS13})
	if err := conn.HandshakeContext(ctx); err != nil {
		return false, nil, err
	}
	next, err = cache.Await(ctx, conn)
	return conn.ConnectionState().DidResume, next, err
}
