package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/jitter"
)

// retry is the longest pause between checks of a listener that does not resume.
const retry = 3 * time.Second

var unchecked = "not checked yet"

// start is the first apply: the node is ready when these listeners resume.
func (f *front) start(want []config.Listener) error {
	if err := f.apply(want); err != nil {
		return err
	}
	for _, l := range want {
		f.first = append(f.first, f.listeners[l.Address])
	}
	return nil
}

// unready says which listeners the node waits for, and why. It is safe for
// concurrent use once start has returned.
func (f *front) unready() (why []string) {
	for _, l := range f.first {
		if trouble := l.trouble.Load(); trouble != nil {
			why = append(why, fmt.Sprintf("listener %s: %s", l.address, *trouble))
		}
	}
	return why
}

// prove checks a listener, and again whenever it serves something else, until
// ctx ends.
func (f *front) prove(ctx context.Context, l *listener) {
	for f.pass(ctx, l) {
		select {
		case <-l.replaced:
		case <-l.content.Load().cert.renewed:
		case <-ctx.Done():
			return
		}
	}
}

// pass checks a listener until it resumes, or returns false when ctx ends. Once
// it has resumed it is in trouble no more: a file that goes wrong must not take
// nodes out of the load balancer.
func (f *front) pass(ctx context.Context, l *listener) bool {
	log, said := f.log.With(zap.String("address", l.address)), map[string]bool{}
	for wait := (jitter.Backoff{}); ; {
		err := l.check(ctx)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			l.trouble.Store(nil)
			if len(said) > 0 {
				log.Info("listener resumes")
			}
			return true
		}
		if len(said) == 0 {
			f.failing.Add(1)
			defer f.failing.Add(-1) // it resumes, or is no more
		}
		why := brief(err)
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
			// That says nothing of tickets. The address may come to this host
			// only once it is ready, as with VRRP.
			l.trouble.Store(nil)
		} else if old := l.trouble.Load(); old != nil {
			l.trouble.CompareAndSwap(old, &why) // unless it was removed meanwhile
		}
		if !said[why] {
			log.Error("listener does not resume; will try again", zap.String("error", why))
			said[why] = true
		}
		_ = wait.Sleep(ctx, retry)
	}
}

// check connects as clients do: for a name of the certificate, and without one.
func (l *listener) check(ctx context.Context) error {
	c := l.content.Load()
	b, err := c.bind()
	if err != nil {
		return err
	}
	if name := called(b.cert.Leaf); name != "" {
		if err := c.binder("").Check(ctx, l.dial(name)); err != nil {
			return fmt.Errorf("server name %s: %w", name, err)
		}
	}
	if err := c.binder(b.scope).Check(ctx, l.dial("")); err != nil {
		return fmt.Errorf("no server name: %w", err)
	}
	return nil
}

// dial returns what tlsbind's Check connects with.
func (l *listener) dial(name string) func(context.Context, *tls.Config) (io.Closer, error) {
	return func(ctx context.Context, c *tls.Config) (io.Closer, error) {
		c.ServerName = name
		raw, err := connect(ctx, l.address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, c)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

// connect connects to where this process listens.
func connect(ctx context.Context, bound string) (conn net.Conn, err error) {
	for _, address := range reachable(bound) {
		if conn, err = new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// reachable returns the addresses to connect to, of which one will do. Without
// IPv6, as in many containers, Go listens at :: all the same, for IPv4.
func reachable(bound string) []string {
	a, err := netip.ParseAddrPort(bound)
	if err != nil || !a.Addr().IsUnspecified() {
		return []string{bound}
	}
	four := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String()
	if a.Addr().Is4() {
		return []string{four}
	}
	return []string{netip.AddrPortFrom(netip.IPv6Loopback(), a.Port()).String(), four}
}

// called returns a name that the certificate is for and a client would send.
func called(leaf *x509.Certificate) string {
	for _, name := range leaf.DNSNames {
		name = strings.TrimSuffix(strings.Replace(name, "*", "any", 1), ".")
		if net.ParseIP(name) == nil && !strings.ContainsAny(name, "[%") && leaf.VerifyHostname(name) == nil {
			return name
		}
	}
	return ""
}

// brief is an error without the addresses of its connection, whose ports are
// others each time.
func brief(err error) string {
	text := err.Error()
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		text = strings.Replace(text, op.Error(), op.Op+": "+op.Err.Error(), 1)
	}
	return text
}
