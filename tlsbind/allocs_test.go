package tlsbind

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// mostAllocs is how many allocations a resumption may cost beyond those of hooks
// that only call crypto/tls.
const mostAllocs = 2

// raceDetector is whether this test has it.
var raceDetector bool

// TestAllocations counts the allocations of resumed handshakes. The client's are
// in it too, and the same for both servers. Tickets are sealed with the oldest key,
// behind which only the staged one is tried.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has pools forget at random")
	}
	for _, version := range versions {
		for _, n := range []int{2, 5, 14} {
			t.Run(fmt.Sprintf("%s/keys=%d", tls.VersionName(version), n), func(t *testing.T) {
				ring := fresh()
				oldest := ring.TicketKeys("")[0]
				for len(ring.TicketKeys("")) < n {
					ring = next(t, ring)
				}
				keys, seal := new(tls.Config), plain(t, oldest)
				keys.SetSessionTicketKeys(ring.TicketKeys(""))
				bare := seal.Clone()
				bare.WrapSession, bare.UnwrapSession = keys.EncryptTicket, keys.DecryptTicket
				c, p := client(version)
				resumes(t, "the first", serve(t, seal), c, false)
				c.ClientSessionCache = offer{p.session}

				hooks, bound := allocations(t, bare, c), allocations(t, Config(seal, keyring.Static(ring)), c)
				if bound > hooks+mostAllocs {
					t.Errorf("a resumption allocates %d times, want at most %d, which is %d more than with bare hooks", bound, hooks+mostAllocs, mostAllocs)
				}
			})
		}
	}
}

// allocations returns the median of how often resumed handshakes allocate. To the
// server each session is a new one.
func allocations(t *testing.T, server, client *tls.Config) uint64 {
	t.Helper()
	var counts []uint64
	for range 101 {
		handedBack.mu.Lock()
		clear(handedBack.young)
		clear(handedBack.old)
		handedBack.mu.Unlock()
		near, far := net.Pipe()
		if err := near.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		s, c := tls.Server(far, server), tls.Client(near, client)
		wrote := make(chan error, 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go func() {
			_, err := s.Write([]byte{1})
			wrote <- err
		}()
		_, err := c.Read(make([]byte, 1))
		near.Close() // lets the server go, if it still waits
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if !c.ConnectionState().DidResume {
			t.Fatal("the handshake was a full one")
		}
		counts = append(counts, after.Mallocs-before.Mallocs)
	}
	slices.Sort(counts)
	return counts[len(counts)/2]
}
