package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lack skips the test for want of something, but not where everything must be
// tested.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// stranger is a TLS client that is not in Go: a program which keeps tickets by
// name, as not every library lets go of them. testdata/clients/openssl.sh says
// how it is talked to.
type stranger struct {
	name    string
	minor   int      // of TLS 1
	version []string // the command that tells its version, if it is installed
	debian  string   // the package it is in
	command []string // the arguments that all have in common follow

	in    io.WriteCloser // nil if it is not installed
	out   io.ReadCloser
	lines *bufio.Scanner
}

func (s *stranger) String() string { return fmt.Sprintf("%s TLS 1.%d", s.name, s.minor) }

// start starts the program if it is installed. It ends with the test.
func (s *stranger) start(t *testing.T, f *street) {
	t.Helper()
	version, err := exec.Command(s.version[0], s.version[1:]...).Output()
	if err != nil {
		return
	}
	t.Logf("%v: %s", s, version)
	cmd := exec.Command(s.command[0], append(s.command[1:], "localhost", f.caFile, t.TempDir(), strconv.Itoa(s.minor))...)
	cmd.Dir, cmd.Stderr = "testdata/clients", os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.lines = in, bufio.NewScanner(s.out)
	t.Cleanup(func() {
		_ = in.Close()
		stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stuck.Stop()
	})
}

// connect has the client connect, offer a ticket and keep the one that it is
// given; "-" is none. It returns the client's own word, New or Reused, and the
// lines of the page.
func (s *stranger) connect(t *testing.T, address, offer, keep string) (word string, page map[string]string) {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = s.out.Close() })
	defer stuck.Stop()
	if _, err := fmt.Fprintln(s.in, address, offer, keep); err != nil {
		t.Fatal(err)
	}
	page = map[string]string{}
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			return word, page
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			page[name] = value
		} else {
			word = line
		}
	}
	t.Fatalf("%v ended: %v", s, s.lines.Err())
	return "", nil
}

// visit connects to a node and checks what the client and the page say of it. It
// returns a digest of the ticket that the client has then.
func (s *stranger) visit(t *testing.T, f *street, at *process, offer, keep, want string) (ticket string) {
	t.Helper()
	word, page := s.connect(t, at.tlsAddress(), offer, keep)
	if word != want || !f.now.shows(page, at.id, s.minor, want == "Reused") {
		t.Errorf("%v with ticket %s at %s: %s, %v; want %s, at %+v or later", s, offer, at.id, word, page, want, f.now)
	}
	return page["ticket"]
}

// collect gets a ticket from every node, to be named by its id and a suffix.
func (s *stranger) collect(t *testing.T, f *street, suffix string) {
	t.Helper()
	for _, p := range f.nodes {
		s.visit(t, f, p, "-", p.id+suffix, "New")
	}
}

// offer offers the ticket of each node at every node.
func (s *stranger) offer(t *testing.T, f *street, suffix, want string) {
	t.Helper()
	for _, from := range f.nodes {
		for _, at := range f.nodes {
			s.visit(t, f, at, from.id+suffix, "-", want)
		}
	}
}

// round goes to every node, each time with the ticket that the last one gave. In
// TLS 1.2 that is always the first: no newer key may seal its secret.
func (s *stranger) round(t *testing.T, f *street, ticket string) string {
	t.Helper()
	for _, p := range f.nodes {
		got := s.visit(t, f, p, "chain", "chain", "Reused")
		if s.minor == 2 && (got == "" || got != ticket) {
			t.Errorf("%v got ticket %q at %s, want the one it offered, %q", s, got, p.id, ticket)
		}
		ticket = got
	}
	return ticket
}

// TestStrangersResume follows one fleet through its life with TLS clients that
// know nothing of it. They go through it together, as a revoke is for all.
//
// Java is not tried with TLS 1.2. Go gives the tickets of that version a lifetime
// of 0, which leaves it to the client (RFC 5077, section 3.3), but JSSE throws
// such a ticket away: it resumes with TLS 1.2 at no server in Go.
func TestStrangersResume(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	f := newStreet(t)
	var strangers []*stranger
	for _, minor := range []int{2, 3} {
		strangers = append(strangers,
			&stranger{name: "OpenSSL", minor: minor, debian: "openssl", command: []string{"sh", "openssl.sh"},
				version: []string{"openssl", "version"}},
			&stranger{name: "Python", minor: minor, debian: "python3", command: []string{"python3", "python.py"},
				version: []string{"python3", "-c", "import ssl, sys; print(sys.version, ssl.OPENSSL_VERSION)"}},
			&stranger{name: "Node", minor: minor, debian: "nodejs", command: []string{"node", "node.js"},
				version: []string{"node", "-p", "process.version + ' OpenSSL ' + process.versions.openssl"}})
	}
	strangers = append(strangers, &stranger{name: "Java", minor: 3, debian: "default-jdk-headless", command: []string{"java", "Client.java"},
		version: []string{"javac", "--version"}}) // java needs it, and of an age to know --version
	for _, s := range strangers {
		s.start(t, f)
	}
	// each ends the test with the phase that fails, as the next ones build on it.
	each := func(phase string, do func(*testing.T, *stranger)) {
		t.Helper()
		if !t.Run(phase, func(t *testing.T) {
			for _, s := range strangers {
				t.Run(s.String(), func(t *testing.T) {
					if s.in == nil {
						lack(t, fmt.Sprintf("%s fails: nothing is known of %s; apt-get install %s", strings.Join(s.version, " "), s.name, s.debian))
					}
					do(t, s)
				})
			}
		}) {
			t.FailNow()
		}
	}

	chain := map[*stranger]string{}
	each("elsewhere", func(t *testing.T, s *stranger) {
		s.collect(t, f, "-early")
		s.offer(t, f, "-early", "Reused")
		chain[s] = s.visit(t, f, f.nodes[0], "-", "chain", "New")
	})
	for i := range 4 {
		f.rotate()
		each(fmt.Sprintf("chain %d", i+1), func(t *testing.T, s *stranger) { chain[s] = s.round(t, f, chain[s]) })
	}
	each("rotated", func(t *testing.T, s *stranger) { s.offer(t, f, "-early", "Reused") })
	f.revoke()
	each("revoked", func(t *testing.T, s *stranger) {
		s.offer(t, f, "-early", "New")
		s.visit(t, f, f.nodes[0], "chain", "-", "New")
	})
	each("again", func(t *testing.T, s *stranger) {
		s.collect(t, f, "-late")
		s.offer(t, f, "-late", "Reused")
	})
}
