package integration

import (
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTellsItsServiceManager is what systemd hears of a node without etcd: a unit
// must not time out for that.
func TestTellsItsServiceManager(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	socket := filepath.Join(s.dir, "notify")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var heard []string // assignments, in order
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := ln.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			heard = append(heard, strings.Split(string(b[:n]), "\n")...)
			mu.Unlock()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	// next returns what came until the first match, and forgets it.
	next := func(pattern string) (found []string) {
		t.Helper()
		eventually(t, "the manager hears "+pattern, func() bool {
			mu.Lock()
			defer mu.Unlock()
			i := slices.IndexFunc(heard, regexp.MustCompile(pattern).MatchString)
			if i >= 0 {
				found, heard = heard[:i+1], heard[i+1:]
			}
			return i >= 0
		})
		return found
	}
	p := launch(t, []string{"NOTIFY_SOCKET=" + socket}, "run", "--config", s.configure("a"))
	p.id = "a"

	if got := next("^READY=1$"); len(got) != 1 {
		t.Errorf("first hears %q, want READY=1", got)
	}
	s.visitor().resumes(p, false) // at the first try
	next("^STATUS=ring www, epoch 0 version 0, sealing with an own key, problem: unreachable$")

	for _, broken := range []bool{false, true} {
		if broken {
			s.write(filepath.Join(s.dir, "a.yaml"), []byte("nonsense: 1\n"))
		}
		p.signal(syscall.SIGHUP)
		next("^RELOADING=1$")
		at := next("^MONOTONIC_USEC=")
		usec, err := strconv.ParseInt(strings.TrimPrefix(at[len(at)-1], "MONOTONIC_USEC="), 10, 64)
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
		if age := now.Nano()/1000 - usec; err != nil || age < 0 || age > patience.Microseconds() {
			t.Errorf("%q is %d µs ago: %v", at, age, err)
		}
		next("^READY=1$")
	}

	p.terminate()
	next("^STOPPING=1$")
	next("^STATUS=draining$")
}
