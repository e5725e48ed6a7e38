package rotator_test

import (
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// rotations is how many TestGrowth makes.
var rotations = uint64(10_000)

// TestGrowth is a leader and a follower whose ring has as many keys as an hourly
// one, through more rotations than that makes in a year. They hold no more in the
// end than after the first tenth. It is not parallel, because what it measures is
// the whole process's.
func TestGrowth(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // fake time takes turns: twice as fast
	inMemory(t, func(t *testing.T, f *fleetOf) {
		f.log = zap.NewNop() // a test's own keeps every line
		etcd := f.etcd.(*memory.Etcd)
		minutely := func(c *rotator.Config) {
			c.Policy, c.TTL = keyring.Policy{Interval: time.Minute, TicketLifetime: 12 * time.Minute}, 50*time.Second
		}
		leader := f.start(minutely)
		f.until(leader, "lead", leads)
		follower, v, admin := f.start(minutely), newVisitors(t), etcd.Client()
		f.until(follower, "ring", version(1))

		var with *ticket
		var before, after held
		for n := uint64(1); n <= rotations; n++ {
			ring := leader.Ring()
			if n%10 == 0 {
				f.agree([]*node{leader, follower}, ring.Info().Version)
				resumed := false
				if resumed, with = v.visit([]*node{leader, follower}[n/10%2], with); !resumed && n > 10 {
					t.Fatalf("rotation %d: a ticket of ten rotations ago does not open", n)
				}
			}
			if n%100 == 0 {
				r, err := admin.Get(t.Context(), ringKey)
				if err != nil {
					t.Fatal(err)
				}
				etcd.Compact(r.Header.Revision) // or etcd grows
			}
			switch n {
			case rotations / 10:
				before = holding()
			case rotations:
				after = holding()
			}
			for have := ring.Info().Version; ring.Info().Version == have; {
				ring.TicketKeys("www")
				var err error
				if ring, err = leader.Await(t.Context(), ring); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Logf("after %d rotations %+v, after %d %+v", rotations/10, before, rotations, after)
		const slack = 256 << 10 // a ring is 3 KB
		if after.heap > before.heap+slack {
			t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
		}
		if after.goroutines > before.goroutines {
			t.Errorf("goroutines grew from %d to %d", before.goroutines, after.goroutines)
		}
	})
}

// held is what the process has.
type held struct {
	heap       uint64 // bytes, after collections
	goroutines int
}

func holding() held {
	runtime.GC()
	runtime.GC() // what was in a pool goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{m.HeapAlloc, runtime.NumGoroutine()}
}
