package integration

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stekring/stekring/internal/devcert"
)

// probed is what probe -o json prints.
type probed struct {
	Healthy  bool            `json:"healthy"`
	Hosts    []string        `json:"hosts"`
	Versions []probedVersion `json:"versions"`
}

type probedVersion struct {
	TLS    string       `json:"tls"`
	Counts bool         `json:"counts"`
	Pairs  []probedPair `json:"pairs"`
}

type probedPair struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason"`
}

// pairs is a version in which every pair of hosts has its reason.
func pairs(version string, counts bool, hosts []string, reason func(from, to string) string) probedVersion {
	v := probedVersion{TLS: version, Counts: counts}
	for _, from := range hosts {
		for _, to := range hosts {
			why := reason(from, to)
			v.Pairs = append(v.Pairs, probedPair{from, to, why == "resumed", why})
		}
	}
	return v
}

// probe wants an exit code and an answer, of which nothing may be unknown here.
func probe(t *testing.T, hosts []string, code int, want probed, flags ...string) {
	t.Helper()
	out, bad, got := stekring(t, append(append([]string{"probe", "-o", "json"}, flags...), hosts...)...)
	var r probed
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || d.More() {
		t.Fatalf("stekring probe %s: exit %d, %v\n%s%s", hosts, got, err, out, bad)
	}
	want.Hosts = hosts
	if got != code || (bad == "") != (code == 0) || !reflect.DeepEqual(r, want) {
		t.Errorf("stekring probe %s: exit %d, want %d and %+v\n%s%s", hosts, got, code, want, out, bad)
	}
}

func TestProbeDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	var hosts []string
	for _, n := range d.ready.Nodes {
		hosts = append(hosts, n.Address)
	}
	always := func(reason string) func(string, string) string { return func(string, string) string { return reason } }
	tls12, tls13 := pairs("1.2", false, hosts, always("no ticket")), pairs("1.3", true, hosts, always("resumed"))
	probe(t, hosts, 0, probed{Healthy: true, Versions: []probedVersion{tls12, tls13}}, "--ca", d.ready.CAFile)
	probe(t, hosts, 0, probed{Healthy: true, Versions: []probedVersion{tls13}}, "--ca", d.ready.CAFile, "--tls", "1.3", "--servername", d.ready.ServerName)
	probe(t, hosts, 4, probed{Versions: []probedVersion{tls12}}, "--ca", d.ready.CAFile, "--tls", "1.2")

	out := mustRun(t, append([]string{"probe", "--ca", d.ready.CAFile}, hosts...)...)
	want := regexp.MustCompile(`^TLS 1\.2 does not count, as no host gives a ticket
every pair: no ticket

TLS 1\.3 FROM +AT 1  AT 2  AT 3
1  127\.0\.0\.1:\d+ +yes   yes   yes
2  127\.0\.0\.1:\d+ +yes   yes   yes
3  127\.0\.0\.1:\d+ +yes   yes   yes

no host gives a ticket with TLS 1\.2; 9 of 9 pairs resume with TLS 1\.3
$`)
	if !want.MatchString(out) {
		t.Errorf("stekring probe of a demo:\n%swant\n%s", out, want)
	}
}

// sServer starts OpenSSL's server, which makes ticket keys of its own, and
// returns its address. It ends with the test.
func (s *site) sServer() string {
	s.t.Helper()
	cmd := exec.Command("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", s.certFile, "-key", s.keyFile, "-www")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	address := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(address)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
				select {
				case address <- at:
				default: // said again after every connection
				}
			}
		}
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	at, ok := <-address
	if !ok {
		s.t.Fatal("openssl s_server ended before it served")
	}
	return at
}

func TestProbeOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		const missing = "openssl is not installed: nothing is known of its servers; apt-get install openssl"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	s := newSite(t, nobody)
	ca := filepath.Join(s.dir, "ca.pem")
	s.write(ca, s.authority)
	hosts := []string{s.sServer(), s.sServer()}
	flags := []string{"--ca", ca, "--servername", "localhost"}
	apart := func(from, to string) string {
		if from == to {
			return "resumed"
		}
		return "full handshake"
	}
	probe(t, hosts, 4, probed{Versions: []probedVersion{pairs("1.2", true, hosts, apart), pairs("1.3", true, hosts, apart)}}, flags...)
	one := []string{hosts[0], hosts[0]} // as two that share
	probe(t, one, 0, probed{Healthy: true, Versions: []probedVersion{pairs("1.2", true, one, apart), pairs("1.3", true, one, apart)}}, flags...)

	out, bad, code := stekring(t, append(append([]string{"probe"}, flags...), hosts...)...)
	for _, want := range []string{"\n1→2 2→1: full handshake\n", "\n2 of 4 pairs resume with TLS 1.2; 2 of 4 pairs resume with TLS 1.3\n"} {
		if code != 4 || !strings.Contains(out, want) {
			t.Errorf("stekring probe: exit %d, want 4 and %q\n%s%s", code, want, out, bad)
		}
	}
}

// handshakes listens and serves no more than that, until the test ends.
func handshakes(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// TestProbeSteersNoTerminal is a certificate that says what clears a screen.
func TestProbeSteersNoTerminal(t *testing.T) {
	t.Parallel()
	cert, ca, err := devcert.New("\x1b[2Jhello")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	at := handshakes(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, tls.Server(c, config)) })
	for _, format := range []string{"table", "json"} {
		out, bad, code := stekring(t, "probe", "-o", format, "--ca", file, "--servername", "localhost", at)
		if code != 4 || !strings.Contains(out, "[2J") || !strings.Contains(bad, "[2J") || strings.Contains(out+bad, "\x1b") || strings.Contains(out, `\u001b`) {
			t.Errorf("stekring probe -o %s: exit %d, want 4 and the name without what steers\n%q\n%q", format, code, out, bad)
		}
	}
}

// TestProbeInterrupted would take an hour if the probe waited.
func TestProbeInterrupted(t *testing.T) {
	t.Parallel()
	accepted := make(chan struct{}, 8)
	at := handshakes(t, func(c net.Conn) {
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	var out, bad bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "probe", "--timeout", "1h", at)
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-accepted
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || out.Len() > 0 || bad.String() != "stekring: interrupted before every pair was tried\n" {
		t.Errorf("stekring probe after an interrupt: exit %d, want 1\n%s%s", code, &out, &bad)
	}
}
