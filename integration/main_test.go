// Package integration tests stekring as its users meet it: the built command,
// real processes, a real etcd, and TLS clients that nobody here wrote.
package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is the command, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "stekring-integration-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "stekring")
		build := exec.Command("go", "build", "-o", binary, "..")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the command:", err)
			return 1
		}
		code := m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// patience is for a machine in trouble; only a broken build waits as long.
const patience = time.Minute

// eventually asks ok again and again until it holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// stekring runs the command to its end and returns what it printed, and how it
// exited.
func stekring(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), bad.String(), cmd.ProcessState.ExitCode()
}

// mustRun runs the command and fails the test unless it exits 0.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, bad, code := stekring(t, args...)
	if code != 0 {
		t.Fatalf("stekring %s: exit %d\n%s%s", strings.Join(args, " "), code, out, bad)
	}
	return out
}

// event is any line of demo -o json.
type event struct {
	Event      string `json:"event"`
	Node       string `json:"node"`
	Epoch      uint64 `json:"epoch"`
	Version    uint64 `json:"version"`
	ServerName string `json:"server_name"`
	CAFile     string `json:"ca_file"`
	ConfigFile string `json:"config_file"`
	Etcd       string `json:"etcd"`
	Nodes      []struct{ ID, Address string }

	LastFailure string `json:"last_failure"`

	Handshakes, Full, Resumed, Offered, Missed, Failed, Rotations, Failovers int
}

// demo is a running demo.
type demo struct {
	t     *testing.T
	cmd   *exec.Cmd
	ready event

	mu     sync.Mutex
	events []event
	done   chan struct{}
}

// startDemo starts a demo and waits until it is ready. It ends with the test.
func startDemo(t *testing.T, args ...string) *demo {
	t.Helper()
	d := &demo{t: t, cmd: exec.Command(binary, append([]string{"demo", "-o", "json"}, args...)...), done: make(chan struct{})}
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e event
			// The summary has nodes as a number.
			line := bytes.Replace(lines.Bytes(), []byte(`"event":"summary","nodes":`), []byte(`"event":"summary","count":`), 1)
			if err := json.Unmarshal(line, &e); err != nil {
				t.Errorf("demo printed %s: %v", lines.Bytes(), err)
			}
			d.mu.Lock()
			d.events = append(d.events, e)
			d.mu.Unlock()
		}
	}()
	t.Cleanup(func() { d.stop() })
	d.ready = d.wait("ready", func(e event) bool { return e.Event == "ready" })
	return d
}

// stop interrupts the demo and returns its exit code.
func (d *demo) stop() int {
	_ = d.cmd.Process.Signal(os.Interrupt)
	<-d.done
	_ = d.cmd.Wait()
	return d.cmd.ProcessState.ExitCode()
}

// wait returns the first event that is as asked, past or to come.
func (d *demo) wait(what string, ok func(event) bool) (found event) {
	d.t.Helper()
	eventually(d.t, what, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, e := range d.events {
			if ok(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// version returns the last version that every node had.
func (d *demo) version() (v uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Event == "rotation" {
			v = e.Version
		}
	}
	return v
}
