package rotator_test

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// ticket is what a client came away with, and where it was given.
type ticket struct {
	session *tls.ClientSessionState
	at      time.Time
	from    *node
	local   bool // sealed by a key that only that node has
}

// wallet is a session cache that offers one ticket and keeps the next.
type wallet struct{ offered, got *tls.ClientSessionState }

func (w *wallet) Get(string) (*tls.ClientSessionState, bool) { return w.offered, w.offered != nil }
func (w *wallet) Put(_ string, s *tls.ClientSessionState)    { w.got = s }
func (w *wallet) config(c *tls.Config) *tls.Config           { c.ClientSessionCache = w; return c }

// visitors are clients of a fleet. Their handshakes are real, over pipes.
type visitors struct {
	t    *testing.T
	cert tls.Certificate
	tls  map[*node]*tls.Config
}

func newVisitors(t *testing.T) *visitors {
	t.Helper()
	cert, _, err := devcert.New("localhost")
	if err != nil {
		t.Fatal(err)
	}
	return &visitors{t, cert, map[*node]*tls.Config{}}
}

// visit offers a node a ticket, which may be nil, and returns whether it was
// taken and the one that was given.
func (v *visitors) visit(n *node, with *ticket) (resumed bool, got *ticket) {
	v.t.Helper()
	if v.tls[n] == nil {
		v.tls[n] = tlsbind.Config(&tls.Config{Certificates: []tls.Certificate{v.cert}}, n)
	}
	for {
		ring, w := n.Ring(), &wallet{}
		if with != nil {
			w.offered = with.session
		}
		at := time.Now()
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := tls.Server(far, v.tls[n]).Write([]byte{1})
			done <- err
		}()
		conn := tls.Client(near, w.config(&tls.Config{ServerName: "localhost", InsecureSkipVerify: true}))
		_, err := conn.Read(make([]byte, 1))
		resumed = conn.ConnectionState().DidResume
		_ = near.Close()
		if err2 := <-done; err != nil || err2 != nil || w.got == nil {
			v.t.Fatalf("a handshake: %v, %v", err, err2)
		}
		_ = far.Close()
		if n.Ring() == ring { // else nobody knows which key sealed the ticket
			return resumed, &ticket{w.got, at, n, ring.Info().Epoch == 0}
		}
	}
}

// expected says whether a ticket must open at a node now.
func (k *ticket) expected(n *node, lifetime time.Duration) bool {
	return time.Since(k.at) < lifetime && (k.from == n || !k.local)
}

// traffic visits nodes at random until it is stopped, with tickets of all ages.
// A ticket that does not open, though it must, fails the test.
func (f *fleetOf) traffic(p keyring.Policy, nodes ...*node) (stop func()) {
	v := newVisitors(f.t)
	var wg sync.WaitGroup
	end := make(chan struct{})
	visits, misses := 0, 0
	wg.Go(func() {
		var had []*ticket
		for {
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
			n := nodes[rand.IntN(len(nodes))]
			var with *ticket
			if len(had) > 0 {
				with = had[rand.IntN(len(had))]
			}
			expected := with != nil && with.expected(n, p.TicketLifetime)
			resumed, got := v.visit(n, with)
			visits++
			if expected && !resumed {
				misses++
				f.t.Errorf("%s did not take a ticket that %s gave %v before, local %t", n.Status().ID, with.from.Status().ID, time.Since(with.at), with.local)
			}
			had = append(had, got)
			had = slices.DeleteFunc(had, func(k *ticket) bool { return time.Since(k.at) > p.TicketLifetime })
		}
	})
	stopped := sync.OnceFunc(func() {
		close(end)
		wg.Wait()
		f.t.Logf("%d visits, %d unexpected misses", visits, misses)
	})
	f.t.Cleanup(stopped)
	return stopped
}
