package daemon

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestDeafManager has a service manager that never reads, and one that is gone:
// the node goes on.
func TestDeafManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	core, logs := observer.New(zap.WarnLevel)
	m := &manager{socket: socket, log: zap.New(core)}
	said := make(chan struct{})
	go func() {
		defer close(said)
		for logs.Len() == 0 { // until its queue is full
			m.say("READY=1")
		}
		m.socket += "-gone"
		m.say("READY=1")
	}()
	select {
	case <-said:
	case <-time.After(time.Minute):
		t.Fatal("still waits for a manager that does not read")
	}
	if logs.Len() != 2 {
		t.Errorf("logged %d times, want for each that was not told", logs.Len())
	}
}
