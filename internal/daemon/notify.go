package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/keyring/rotator"
)

// manager is the service manager that started this process, if it wants to hear
// of its state: sd_notify(3). There is no WATCHDOG=1: a ticker would go on
// ticking when all else hangs.
type manager struct {
	socket string // "" is no manager
	log    *zap.Logger
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// notify says that the node is ready, and how it is from then on.
func notify(rot *rotator.Rotator, log *zap.Logger) *manager {
	m := &manager{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
	ctx, end := context.WithCancel(context.Background()) // it ends with close
	m.end = end
	m.say("READY=1")
	if m.socket != "" {
		m.wg.Go(func() { m.follow(ctx, rot) })
	}
	return m
}

// close says that the node stops.
func (m *manager) close() {
	m.end()
	m.wg.Wait()
	m.say("STOPPING=1", "STATUS=draining")
}

// reloading says that the node reloads, and done that it is through.
func (m *manager) reloading() (done func()) {
	m.say(append([]string{"RELOADING=1"}, monotonic()...)...)
	return func() { m.say("READY=1") }
}

// follow keeps the line that systemctl status shows.
func (m *manager) follow(ctx context.Context, rot *rotator.Rotator) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := ""; ; {
		if now := describe(rot.Status()); now != last {
			m.say("STATUS=" + now)
			last = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// describe is a node in a line.
func describe(s rotator.Status) string {
	line := fmt.Sprintf("ring %s, epoch %d version %d", s.Ring, s.Info.Epoch, s.Info.Version)
	if s.Leader {
		line += ", leading"
	}
	if s.Local {
		line += ", sealing with an own key"
	}
	if s.Cause != "" {
		line += ", problem: " + string(s.Cause)
	}
	return line
}

// say sends assignments. A manager that does not listen keeps nobody waiting.
func (m *manager) say(state ...string) {
	if m.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = conn.Write([]byte(strings.Join(state, "\n")))
		_ = conn.Close()
	}
	if err != nil {
		m.log.Warn("the service manager was not told", zap.Strings("state", state), zap.Error(err))
	}
}
