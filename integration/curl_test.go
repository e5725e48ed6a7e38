package integration

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCurlResumes has a curl walk between every two nodes. Its tickets end with
// it, so the fleet turns while it waits at a gate: a plain server that is the next
// of its URLs, and answers when the fleet has turned. Only the page is asked
// whether it resumed, as what -v says of that can be wrong.
//
// curl is not tried with TLS 1.2. There it asks for no ticket (as of 7.88), so it
// resumes at no server in Go.
func TestCurlResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	version, err := exec.Command("curl", "--version").Output()
	if err != nil {
		lack(t, fmt.Sprintf("curl --version: %v: nothing is known of it; apt-get install curl", err))
	}
	t.Logf("%s", version)
	t.Parallel()
	f := newStreet(t)

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	arrive, leave := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for _, c := range []chan struct{}{arrive, leave} {
			select {
			case c <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}))
	var curls sync.WaitGroup
	t.Cleanup(func() { cancel(); curls.Wait(); gate.Close() })

	var walks []walk
	for _, from := range f.nodes {
		for _, at := range f.nodes {
			walks = append(walks, walk{{from, at}, {from}, {at, from}, {at, from}})
		}
	}
	said := make([]string, len(walks))
	for i, w := range walks {
		cmd := exec.CommandContext(ctx, "curl", append([]string{"-q"}, f.curl(w, gate.URL)...)...)
		cmd.Stderr = os.Stderr
		curls.Go(func() {
			out, err := cmd.Output()
			if said[i] = string(out); err != nil && ctx.Err() == nil {
				t.Errorf("curl: %v", err)
				cancel() // nobody need wait for it
			}
		})
	}
	all := func(c <-chan struct{}) {
		for range walks {
			select {
			case <-c:
			case <-ctx.Done():
				t.Fatal("not every curl is at the gate")
			}
		}
	}
	moments := []moment{f.now}
	for _, turn := range f.turns() {
		all(arrive)
		turn()
		moments = append(moments, f.now)
		all(leave)
	}
	curls.Wait()

	for n, w := range walks {
		rest := said[n]
		for i, leg := range w {
			for j, p := range leg {
				var page string
				page, rest, _ = strings.Cut(rest, "protocol=")
				if want := w.resumed(i, j); !moments[i].shows(facts(page), p.id, 3, want) {
					t.Errorf("connection %d of leg %d, at %s:\n%s\nwant resumed=%t, at %+v or later", j+1, i+1, p.id, page, want, moments[i])
				}
			}
		}
	}
}

// curl returns the arguments for a walk with a gate between the legs.
func (f *street) curl(w walk, gate string) (args []string) {
	transfer := func(to ...string) {
		args = slices.Concat(args, []string{"--next", "-sS", "--noproxy", "*", "--http1.1", "-H", "Connection: close"}, to)
	}
	for i, leg := range w {
		if i > 0 {
			transfer(gate)
		}
		for _, p := range leg {
			host, _, _ := net.SplitHostPort(p.tlsAddress())
			transfer("--tlsv1.3", "--cacert", f.caFile, "--resolve", "localhost:"+f.port+":"+host, "https://localhost:"+f.port)
		}
	}
	return args[1:] // there is a next one only after the first
}
