package integration

import (
	"bytes"
	"context"
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

	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// alertRules returns the rules of docs/deploy/alerts.yml.
func alertRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "../docs/deploy/alerts.yml")), &file); err != nil || len(file.Groups) != 1 {
		t.Fatalf("alerts.yml: %v, %d groups, want one", err, len(file.Groups))
	}
	return file.Groups[0].Rules
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// TestRunbooksAreOfAlerts holds every alert to a page, and every page to an alert
// or to the list of those that are of none.
func TestRunbooksAreOfAlerts(t *testing.T) {
	index := read(t, "../docs/runbooks/README.md")
	want := []string{"README.md", "stolen-key.md", "etcd-lost.md", "kek-lost.md", "wrong-kek.md"}
	for _, r := range alertRules(t) {
		want = append(want, r.Alert+".md")
		if url := "https://github.com/" + strings.TrimPrefix(module, "github.com/") + "/blob/main/docs/runbooks/" + r.Alert + ".md"; r.Annotations["runbook_url"] != url {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], url)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q, want page or ticket", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: annotations %v, want a summary and a description", r.Alert, r.Annotations)
		}
	}
	var got []string
	files, _ := filepath.Glob("../docs/runbooks/*")
	for _, f := range files {
		name := filepath.Base(f)
		got = append(got, name)
		title, _, _ := strings.Cut(strings.TrimPrefix(read(t, f), "# "), "\n")
		if alert := strings.TrimSuffix(name, ".md"); strings.HasPrefix(name, "Stekring") && title != alert {
			t.Errorf("%s is titled %q", name, title)
		}
		if name != "README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("README.md does not link to %s", name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/runbooks has\n%v\nwant\n%v", got, want)
	}
	problem := read(t, "../docs/runbooks/StekringProblem.md")
	for _, cause := range causes {
		if !strings.Contains(problem, "\n## "+cause+"\n") {
			t.Errorf("StekringProblem.md has no section %s", cause)
		}
	}
}

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
