package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// bench is a fleet on which somebody follows a runbook.
type bench struct {
	*site
	etcd *etcdtest.Etcd
	a, b *process // b is the node that the runbook is followed on
	file string   // b's KEK
	url  string   // of what the commands ask of this test
}

// newBench starts a, a candidate, and b, as it is changed.
func newBench(t *testing.T, change ...func(*config.Config)) *bench {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "etcdctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			lack(t, tool+" is missing: apt-get install "+map[string]string{"etcdctl": "etcd-client"}[tool]+" to follow the runbooks")
		}
	}
	e := etcdtest.Start(t)
	b := &bench{site: newSite(t, e.Endpoint()), etcd: e}
	b.file = b.kekFile
	b.a = b.run("a")
	b.a.share()
	b.b = b.run("b", change...)
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/http":
			fmt.Fprint(w, "http://"+b.b.httpAddress())
		case "/tls":
			fmt.Fprint(w, "https://"+b.b.tlsAddress())
		case "/log":
			fmt.Fprint(w, b.b.text())
		case "/pidof":
			fmt.Fprintln(w, b.b.cmd.Process.Pid)
		case "/reload":
			b.b.signal(syscall.SIGHUP)
		case "/restart":
			b.restart()
		}
	}))
	t.Cleanup(answers.Close)
	b.url = answers.URL
	return b
}

// restart has b end, if it has not, and start again as it is configured.
func (b *bench) restart() {
	_ = b.b.cmd.Process.Signal(syscall.SIGTERM)
	<-b.b.done
	b.b = launch(b.t, nil, "run", "--config", filepath.Join(b.dir, "b.yaml"))
	b.b.id = "b"
}

const strict = "set -eo pipefail\n"

// sections returns the sh blocks below each heading of a page.
func sections(page string) map[string][]string {
	found := map[string][]string{}
	for _, s := range regexp.MustCompile(`(?m)^##? `).Split(page, -1)[1:] {
		title, _, _ := strings.Cut(s, "\n")
		found[title] = blocks(s, "sh")
	}
	return found
}

// sh runs the commands of a runbook.
func (b *bench) sh(commands string) (out string, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", `
		stekring() { case "$1" in keygen) "$BINARY" "$@" ;; *) "$BINARY" "$1" --config "$CONFIG" "${@:2}" ;; esac; }
		ask() { command curl -sS "$BENCH/$1"; }
		curl() { local node site; node=$(ask http); site=$(ask tls); set -- "${@/#http:\/\/127.0.0.1:9474/$node}"
			command curl --cacert "$CA" "${@/#https:\/\/www.example.com/$site}"; }
		journalctl() { ask log; }
		systemctl() { ask "$1"; }
		pidof() { ask pidof; }
		`+strings.ReplaceAll(commands, "/etc/stekring/kek", b.file))
	ca := filepath.Join(b.dir, "ca.pem")
	b.write(ca, b.authority)
	cmd.Env = append(os.Environ(), "BINARY="+binary, "CONFIG="+filepath.Join(b.dir, "b.yaml"), "BENCH="+b.url, "CA="+ca,
		"ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+b.endpoint, "no_proxy=127.0.0.1")
	cmd.Dir = b.dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	return said.String(), err
}

// find runs commands that look, some of which fail while something is wrong, until
// they have said all that is wanted.
func (b *bench) find(commands []string, says ...string) {
	b.t.Helper()
	var out string
	defer func() { b.t.Logf("%s", out) }()
	eventually(b.t, fmt.Sprintf("the runbook finds %q", says), func() bool {
		out, _ = b.sh(strings.Join(commands, "\n"))
		return !slices.ContainsFunc(says, func(s string) bool { return !strings.Contains(out, s) })
	})
}

// follow runs blocks of commands, each until it succeeds.
func (b *bench) follow(blocks []string) {
	b.t.Helper()
	for _, commands := range blocks {
		var out string
		defer func() { b.t.Logf("%s%s", commands, out) }()
		eventually(b.t, "these succeed: "+commands, func() bool {
			var err error
			out, err = b.sh(strict + commands)
			return err == nil
		})
	}
}

// stop ends a node and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.wait()
}

// ring returns the record in etcd.
func (b *bench) ring() []byte {
	b.t.Helper()
	resp, err := b.etcd.Client().Get(b.t.Context(), ringPath)
	if err != nil || len(resp.Kvs) != 1 {
		b.t.Fatalf("no ring: %v", err)
	}
	return resp.Kvs[0].Value
}

func (b *bench) put(key string, value []byte) {
	b.t.Helper()
	if _, err := b.etcd.Client().Put(b.t.Context(), key, string(value)); err != nil {
		b.t.Fatal(err)
	}
}

// alone stops a, when b has its ring.
func alone(b *bench) {
	b.b.share()
	b.a.stop()
}

// lead has b lead.
func lead(b *bench) {
	alone(b)
	leader(b.t, []*process{b.b})
}

// again starts a anew, which remembers nothing.
func again(b *bench) { b.a = b.run("a") }

// wrongKEK has b start with what f makes of the KEK file.
func wrongKEK(f func(b *bench, file string)) func(*bench) {
	return func(b *bench) {
		b.file = filepath.Join(b.dir, "kek-b")
		f(b, b.file)
		b.configure("b", func(c *config.Config) { c.Seal.KEKFile = b.file })
		b.restart()
	}
}

// rightKEK has b's file be what all others have.
func rightKEK(b *bench) {
	kek, err := os.ReadFile(b.kekFile)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(b.file, kek)
}

func anotherKEK(b *bench, file string) { mustRun(b.t, "keygen", "--out", file) }

// sameID is another key under the same id.
func sameID(b *bench, file string) {
	kek, err := os.ReadFile(b.kekFile)
	if err != nil {
		b.t.Fatal(err)
	}
	id, _, _ := bytes.Cut(kek, []byte(":"))
	b.write(file, []byte(string(id)+":"+base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))+"\n"))
}

// otherEtcd has b follow the ring of another etcd.
func otherEtcd(b *bench) {
	other := etcdtest.Start(b.t).Endpoint()
	b.configure("b", func(c *config.Config) { c.Etcd.Endpoints = []string{other} })
	b.restart()
	b.b.share()
}

func sameEtcd(b *bench) { b.configure("b") }
