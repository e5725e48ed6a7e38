package servers_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/stekring/stekring/keyring"
)

// Their configurations take the place of the base: they find the certificate by
// a GetCertificate of their own, in their own cache.
var acmeKinds = []kind{
	{name: "autocert, `Manager.TLSConfig`", want: bound.with("h2"), start: func(t *testing.T, _ *tls.Config, src keyring.Source) (dial, error) {
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(name), Cache: autocert.DirCache(t.TempDir()),
			Client: &acme.Client{DirectoryURL: "https://127.0.0.1:1/"}, // nobody is asked
		}
		certPEM, keyPEM := encoded(t)
		if err := m.Cache.Put(t.Context(), name, slices.Concat(keyPEM, certPEM)); err != nil {
			t.Fatal(err)
		}
		c, err := bind(m.TLSConfig(), src)
		if err != nil {
			return nil, err
		}
		return serverTLS(t, c), nil
	}},
	{name: "certmagic, `Config.TLSConfig`", want: bound.with("h2"), start: func(t *testing.T, _ *tls.Config, src keyring.Source) (dial, error) {
		var m *certmagic.Config
		cache := certmagic.NewCache(certmagic.CacheOptions{
			GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m, nil }, Logger: zap.NewNop(),
		})
		t.Cleanup(cache.Stop)
		m = certmagic.New(cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: t.TempDir()}, Logger: zap.NewNop()})
		if _, err := m.CacheUnmanagedTLSCertificate(t.Context(), cert, nil); err != nil {
			t.Fatal(err)
		}
		c, err := bind(m.TLSConfig(), src)
		if err != nil {
			return nil, err
		}
		return serverTLS(t, c), nil
	}},
}
