package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/tlsbind"
)

// front is the TLS listeners of a node.
type front struct {
	rot     *rotator.Rotator
	tickets config.Tickets
	log     *zap.Logger
	failed  chan error // a listener that ended by itself

	listeners map[string]*listener // by configured address
	serving   sync.WaitGroup
}

// listener serves one address. What it serves can be replaced while it does.
type listener struct {
	address string // as bound
	srv     *http.Server
	content atomic.Pointer[content]
}

// content is a certificate and what is behind it.
type content struct {
	front   *front
	cert    *keypair
	handler http.Handler
	bound   atomic.Pointer[bound]
}

// bound is the configurations for one certificate.
type bound struct {
	cert   *tls.Certificate
	named  *tls.Config // for names that the certificate is valid for
	others *tls.Config // for all else
}

// config returns the configuration for a client. A client that resumes looks at
// no certificate, and must not be led to another site by that. So the fleet's
// tickets are for names that this listener's certificate is valid for. A client
// that asks for another name, or for none, gets tickets that open only where the
// certificate has the same names.
func (c *content) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	b, err := c.bind()
	if err != nil {
		return nil, err
	}
	if hello.ServerName != "" && b.cert.Leaf.VerifyHostname(hello.ServerName) == nil {
		return b.named, nil
	}
	return b.others, nil
}

// bind returns what is bound to the certificate of now.
func (c *content) bind() (*bound, error) {
	b := &bound{cert: c.cert.get()}
	if now := c.bound.Load(); now != nil && now.cert == b.cert {
		return now, nil
	}
	names := append(slices.Clone(b.cert.Leaf.DNSNames), b.cert.Leaf.Subject.CommonName)
	for _, ip := range b.cert.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	base := &tls.Config{
		Certificates:           []tls.Certificate{*b.cert},
		NextProtos:             []string{"h2", "http/1.1"},
		SessionTicketsDisabled: !c.front.tickets.Enabled,
	}
	binder := tlsbind.Binder{Source: c.front.rot, NoTLS12: !c.front.tickets.TLS12}
	var err error
	if b.named, err = binder.Config(base); err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	binder.Scope = fmt.Sprintf("names=%q", slices.Compact(names))
	if b.others, err = binder.Config(base); err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	c.bound.Store(b)
	return b, nil
}

// prepare reads what a listener needs from its files.
func (f *front) prepare(l config.Listener) (*content, error) {
	c := &content{front: f, handler: Page(f.rot)}
	if l.Upstream != "" {
		u, err := url.Parse(l.Upstream)
		if err != nil {
			return nil, fmt.Errorf("daemon: upstream of %s: %w", l.Address, err)
		}
		c.handler = &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(u)
				p.SetXForwarded()
				p.Out.Host = p.In.Host
			},
			ErrorLog:     quiet(f.log),
			ErrorHandler: badGateway(f.log, l.Upstream),
		}
	}
	if l.CertFile == "" { // only --dev comes here without one
		cert, _, err := devcert.New("localhost", "127.0.0.1", "::1")
		if err != nil {
			return nil, err
		}
		c.cert = &keypair{}
		c.cert.cert.Store(&cert)
		return c, nil
	}
	var err error
	if c.cert, err = loadKeypair(l.CertFile, l.KeyFile, f.log); err != nil {
		return nil, fmt.Errorf("daemon: certificate of %s: %w", l.Address, err)
	}
	_, err = c.bind()
	return c, err
}

// badGateway answers for an upstream that does not, and says so once a second
// at most.
func badGateway(log *zap.Logger, upstream string) func(http.ResponseWriter, *http.Request, error) {
	log = log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Second, 1, 0)
	}))
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if r.Context().Err() == nil { // the client is still there
			log.Warn("upstream does not answer", zap.String("upstream", upstream), zap.Error(err))
		}
		w.WriteHeader(http.StatusBadGateway)
	}
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
		}
	}
	for address, c := range ready {
		if ln := opened[address]; ln != nil {
			f.serve(address, ln, c)
			continue
		}
		f.listeners[address].content.Store(c)
	}
	return nil
}

func (f *front) serve(address string, ln net.Listener, c *content) {
	l := &listener{address: ln.Addr().String()}
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
}

// close drains every listener and waits for it.
func (f *front) close() {
	for _, l := range f.listeners {
		f.serving.Go(func() { l.stop(drain) })
	}
	f.serving.Wait()
}

// stop lets connections finish for as long as grace, and cuts the rest.
func (l *listener) stop(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if l.srv.Shutdown(ctx) != nil {
		_ = l.srv.Close()
	}
}
