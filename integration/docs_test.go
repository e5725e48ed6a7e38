package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// pages are what newcomers read and copy from.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "../README.md", "../docs/tutorial.md", "../SECURITY.md", "../CHANGELOG.md")
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// blocks returns the fenced blocks of a page that are in a language.
func blocks(page, language string) (found []string) {
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

func TestDocsConfigurationsLoad(t *testing.T) {
	for _, page := range pages(t) {
		for i, b := range blocks(read(t, page), "yaml") {
			file := filepath.Join(t.TempDir(), "stekring.yaml")
			if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(file, pflag.NewFlagSet("", pflag.ContinueOnError), false); err != nil {
				t.Errorf("%s: yaml block %d: %v", page, i, err)
			}
		}
	}
}

func TestDocsNameEveryKey(t *testing.T) {
	full := config.Config{Listeners: []config.Listener{{Address: "x", CertFile: "x", KeyFile: "x", Upstream: "x"}}, NodeID: "x",
		Etcd: config.Etcd{CAFile: "x", CertFile: "x", KeyFile: "x", Username: "x", PasswordFile: "x"}, Seal: config.Seal{KEKFile: "x"}}
	b, err := full.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	page := read(t, "../docs/reference/configuration.md")
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				walk(strings.TrimPrefix(prefix+"."+k, "."), below)
			}
		case []any:
			for _, below := range v {
				if _, ok := below.(map[string]any); ok {
					walk(prefix+"[]", below)
				}
			}
			if prefix == "etcd.endpoints" && !strings.Contains(page, "`etcd.endpoints`") {
				t.Error("configuration.md does not name etcd.endpoints")
			}
		default:
			if !strings.Contains(page, "`"+prefix+"`") {
				t.Errorf("configuration.md does not name %s", prefix)
			}
		}
	}
	walk("", tree)
}

func TestDocsNameEveryVerb(t *testing.T) {
	page := read(t, "../docs/reference/command.md")
	for _, verb := range verbs(t) {
		if verb != "help" && !strings.Contains(page, "`stekring "+verb) {
			t.Errorf("command.md does not name %s", verb)
		}
	}
}

// TestDocsLinkedLines holds README to the program that is built and run.
func TestDocsLinkedLines(t *testing.T) {
	_, rest, _ := strings.Cut(read(t, "linked/main.go"), "// linked:begin\n")
	want, _, found := strings.Cut(rest, "// linked:end\n")
	got := blocks(read(t, "../README.md"), "go")
	if !found || len(got) != 1 || strings.TrimSpace(got[0]) != strings.TrimSpace(want) {
		t.Errorf("README's Go lines are not those of integration/linked/main.go:\n%s\nwant\n%s", strings.Join(got, "\n---\n"), want)
	}
}

func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// script runs the shell blocks of a page in one shell, in a copy of the tree.
func script(t *testing.T, page string, change func(string) string) {
	t.Helper()
	for _, tool := range []string{"bash", "openssl", "curl", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: apt-get install it", tool)
			}
			t.Skipf("%s is missing: apt-get install it to run the commands of %s", tool, page)
		}
	}
	clone := filepath.Join(t.TempDir(), "stekring")
	files := exec.Command("sh", "-c", `git ls-files -co --exclude-standard -z | tar -c --null -T - --ignore-failed-read 2>/dev/null | tar -x -C "$0"`, clone)
	files.Dir = ".."
	if err := os.MkdirAll(clone, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := files.CombinedOutput(); err != nil {
		t.Fatalf("copying the tree: %v\n%s", err, out)
	}
	var lines bytes.Buffer
	lines.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	for _, b := range blocks(read(t, page), "sh") {
		lines.WriteString(change(b))
	}
	cmd := exec.Command("bash", "-c", lines.String())
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the commands of %s: %v", page, err)
	}
}

func TestDocsTutorialRuns(t *testing.T) {
	t.Parallel()
	script(t, "../docs/tutorial.md", func(b string) string { return b })
}

func TestDocsKEKRuns(t *testing.T) {
	t.Parallel()
	first := true
	script(t, "../docs/how-to/kek.md", func(b string) string {
		if first { // what a node has already
			first = false
			b = fmt.Sprintf("PATH=%s:$PATH\nstekring keygen --out kek\ncp kek old\n%s", filepath.Dir(binary), b)
		}
		return b + "printf 'ring: x\netcd: {endpoints: [http://127.0.0.1:1]}\nseal: {kek_file: kek}\n' > v.yaml\nstekring validate --config v.yaml\n" +
			"if [ $(wc -l < kek) = 1 ] && cmp -s kek old; then echo the old key is left; exit 1; fi\n"
	})
}

func TestDocsCaddyRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	_, file := s.steks()
	script(t, "../docs/how-to/caddy.md", func(b string) string {
		// The reader's configuration is where the command looks for it.
		return fmt.Sprintf("stekring() { %s \"$1\" --config %s \"${@:2}\"; }\ncp %s stek.bin\n%s", binary, s.configure("operator"), file, b)
	})
}

func TestDocsReadmeRuns(t *testing.T) {
	t.Parallel()
	script(t, "../README.md", func(b string) string {
		// The demos run until they are interrupted, as a reader would.
		b = regexp.MustCompile(`(?m)^go run \. demo.*$`).ReplaceAllString(b, "$0 --duration 8s")
		// The tests are this.
		b = regexp.MustCompile(`(?m)^go test .*$`).ReplaceAllString(b, "")
		// Depending on a clone is done from a module beside it.
		return regexp.MustCompile(`(?m)^go mod edit .*$`).ReplaceAllString(b,
			"mkdir ../mine && cd ../mine && go mod init mine && printf 'package main\\nimport _ \"github.com/stekring/stekring/tlsbind\"\\nfunc main() {}\\n' > main.go\n$0")
	})
}

// TestDocsBenchmarksExist holds the pages to benchmarks that there are: go test is
// content with a name that nothing has.
func TestDocsBenchmarksExist(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, m := range regexp.MustCompile(`-bench '?([A-Za-z|]+)'? .*\./(\S+?)/?\n`).FindAllStringSubmatch(read(t, page), -1) {
			tests, err := filepath.Glob("../" + m[2] + "/*_test.go")
			if err != nil {
				t.Fatal(err)
			}
			var code strings.Builder
			for _, file := range tests {
				code.WriteString(read(t, file))
			}
			for name := range strings.SplitSeq(m[1], "|") {
				found++
				if !strings.Contains(code.String(), "func "+name+"(b *testing.B)") {
					t.Errorf("%s has go test run %s in %s, where it is not", page, name, m[2])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names a benchmark")
	}
}
