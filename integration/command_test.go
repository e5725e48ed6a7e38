package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// nobody is an address at which nothing listens.
const nobody = "http://127.0.0.1:1"

// TestCommand runs the scripts, each on a ring of its own in one etcd.
func TestCommand(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	client := etcd.Client()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("ETCD", etcd.Endpoint())
			e.Setenv("NOBODY", nobody)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "mode": mode, "until": until,
			// absent is "absent PREFIX": etcd has nothing below it.
			"absent": func(ts *testscript.TestScript, neg bool, args []string) {
				r, err := client.Get(t.Context(), args[0], clientv3.WithPrefix(), clientv3.WithCountOnly())
				ts.Check(err)
				if neg != (r.Count > 0) {
					ts.Fatalf("etcd has %d keys below %s", r.Count, args[0])
				}
			},
		},
	})
}

// exits is "exits CODE PROGRAM ARG…", because exec knows success and failure
// only.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := run(ts, args[1:]); got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// until is "until PROGRAM ARG…": it runs the program until that succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until PROGRAM ARG…")
	}
	for deadline := time.Now().Add(patience); run(ts, args) != 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("no success within %v", patience)
		}
	}
}

func run(ts *testscript.TestScript, args []string) (code int) {
	var exit *exec.ExitError
	switch err := ts.Exec(args[0], args[1:]...); {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	return 0
}

// mode is "mode OCTAL FILE".
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	st, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := st.Mode(); got != fs.FileMode(want) {
		ts.Fatalf("%s has mode %v, want %v", args[1], got, fs.FileMode(want))
	}
}

// TestEtcdOutOfReach is no script so that the verbs can wait side by side.
func TestEtcdOutOfReach(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	file := s.configure("operator")
	_, steks := s.steks()
	verbs := [][]string{{"status"}, {"rotate"}, {"revoke", "--reason", "a test", "--yes"},
		{"import", steks}}
	results := make(chan string, len(verbs))
	for _, verb := range verbs {
		go func() {
			start := time.Now()
			out, bad, code := stekring(t, append(verb, "--config", file)...)
			problem := ""
			if code != 3 || out != "" || !strings.Contains(bad, "etcd at "+nobody) || !strings.Contains(bad, "connection refused") ||
				time.Since(start) > 10*time.Second {
				problem = fmt.Sprintf("%s: exit %d after %v, want 3 within 10s, and what is out of reach\n%s%s", verb[0], code, time.Since(start), out, bad)
			}
			results <- problem
		}()
	}
	for range verbs {
		if problem := <-results; problem != "" {
			t.Error(problem)
		}
	}
}
