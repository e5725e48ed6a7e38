package servers_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// A kind is a way to serve with a base that is bound to a Source.
type kind struct {
	name string
	want row // what TestMatrix is to see

	// start serves until the test ends. Its error is the binding's.
	start func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error)
	quic  bool
}

// versions are those of TLS that a kind speaks.
func (k kind) versions() []uint16 {
	if k.quic {
		return []uint16{tls.VersionTLS13}
	}
	return []uint16{tls.VersionTLS12, tls.VersionTLS13}
}

func kinds() []kind { return slices.Concat(tcpKinds, quicKinds, acmeKinds, configKinds) }

// bind is the one call.
func bind(base *tls.Config, src keyring.Source) (*tls.Config, error) {
	return (&tlsbind.Binder{Source: src}).Config(base)
}

// served is the start of a kind that serves with what bind returns.
func served(serve func(*testing.T, *tls.Config) dial) func(*testing.T, *tls.Config, keyring.Source) (dial, error) {
	return func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error) {
		c, err := bind(base, src)
		if err != nil {
			return nil, err
		}
		return serve(t, c), nil
	}
}
