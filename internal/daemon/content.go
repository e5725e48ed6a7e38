package daemon

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/tlsbind"
)

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
	scope  string      // of others
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
	config := b.others
	if hello.ServerName != "" && b.cert.Leaf.VerifyHostname(hello.ServerName) == nil {
		config = b.named
	}
	if own := config.GetConfigForClient; own != nil { // what bounds sessions by age; crypto/tls does not ask a second time
		return own(hello)
	}
	return config, nil
}

// binder returns what binds configurations of a scope.
func (c *content) binder(scope string) *tlsbind.Binder {
	t := c.front.tickets
	return &tlsbind.Binder{Source: c.front.rot, Scope: scope, NoTLS12: !t.TLS12, MaxSessionAge: t.MaxSessionAge, Observe: c.front.observe}
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
	b.scope = fmt.Sprintf("names=%q", slices.Compact(names))
	var err error
	if b.named, err = c.binder("").Config(base); err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	if b.others, err = c.binder(b.scope).Config(base); err != nil {
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
			log.Warn("upstream does not answer; its client gets a 502", zap.String("upstream", upstream), zap.Error(err))
		}
		w.WriteHeader(http.StatusBadGateway)
	}
}
