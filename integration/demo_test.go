package integration

import (
	"fmt"
	"strings"
	"testing"
)

func TestDemoMissesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	d := startDemo(t, "--duration", "25s", "--interval", "3s", "--kill-leader")
	<-d.done
	if code := d.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	s := d.wait("summary", func(e event) bool { return e.Event == "summary" })
	if s.Missed != 0 || s.Failed != 0 || s.Offered < 1000 || s.Rotations < 5 || s.Failovers < 1 {
		t.Errorf("%+v, want nothing missed of at least 1000 tickets, 5 rotations, a failover", s)
	}
	last := uint64(0)
	for _, e := range d.events {
		if e.Event == "rotation" {
			if last != 0 && e.Version != last+1 {
				t.Errorf("version %d after %d", e.Version, last)
			}
			last = e.Version
		}
	}
}

// A revoke ends tickets, of which none counts as missed, and every later one is
// taken.
func TestDemoRevoked(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	t.Parallel()
	d := startDemo(t, "--interval", "3s")
	out := mustRun(t, "revoke", "--config", d.ready.ConfigFile, "--reason", "a test", "--yes")
	var epoch, version uint64
	if _, err := fmt.Sscanf(out, "epoch %d version %d on", &epoch, &version); err != nil || epoch != 2 {
		t.Fatalf("stekring revoke: %q, %v; want epoch 2", out, err)
	}
	if out := mustRun(t, "status", "--config", d.ready.ConfigFile); !strings.HasPrefix(out, "RING demo  epoch 2 ") {
		t.Errorf("stekring status:\n%swant epoch 2", out)
	}
	eventually(t, "a rotation after the revoke", func() bool { return d.version() > version })
	if code := d.stop(); code != 0 {
		t.Errorf("exit %d, want 0; at the end %+v", code, d.events[len(d.events)-1])
	}
}
