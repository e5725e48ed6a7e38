// Package servers_test binds every kind of Go server there is to a ring, each by
// the one call that its users make, and measures what becomes of its tickets.
package servers_test

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring"
)

// name is what every server is called, so that a ticket from one may be offered
// at another. It has a dot, without which autocert serves none.
const name = "www.stekring.test"

var cert, roots = certify()

func certify() (tls.Certificate, *x509.CertPool) {
	c, ca, err := devcert.New(name)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return c, pool
}

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "4") // what is measured is not how much a machine bears
	code := m.Run()
	leak := goleak.Find()
	// A socket that quic-go has opened outlives its last connection for a while.
	for deadline := time.Now().Add(patience / 2); leak != nil && time.Now().Before(deadline); {
		leak = goleak.Find()
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

// swap is a Source whose ring can be replaced.
type swap struct{ atomic.Pointer[keyring.Ring] }

func (s *swap) Ring() *keyring.Ring { return s.Load() }

func source(r *keyring.Ring) *swap {
	s := new(swap)
	s.Store(r)
	return s
}

// fresh returns a ring none of whose keys was ever in another.
func fresh(epoch uint64) *keyring.Ring { return keyring.DefaultPolicy.First(epoch, 1, time.Now()) }

// next rotates as if an interval had passed.
func next(t *testing.T, r *keyring.Ring) *keyring.Ring {
	t.Helper()
	now := time.Now()
	n, err := keyring.DefaultPolicy.Next(r, now.Add(-keyring.DefaultPolicy.Interval), now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
