package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verbs returns those that the help names.
func verbs(t *testing.T) (found []string) {
	t.Helper()
	_, list, _ := strings.Cut(mustRun(t, "--help"), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		found = append(found, strings.Fields(line)[0])
	}
	return found
}

// TestManPages wants a page for every verb, the same each time, and sound to man.
func TestManPages(t *testing.T) {
	t.Parallel()
	dirs := []string{filepath.Join(t.TempDir(), "a", "man1"), filepath.Join(t.TempDir(), "b", "man1")}
	for i, epoch := range []string{"0", "1000000000"} {
		cmd := exec.Command(binary, "man", "--out", dirs[i])
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch, "TZ=Asia/Tokyo", "HOME=/nonexistent/"+epoch)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("man --out: %s %v", out, err)
		}
	}
	pages, _ := filepath.Glob(filepath.Join(dirs[0], "*"))
	for _, p := range pages {
		if read(t, p) != read(t, filepath.Join(dirs[1], filepath.Base(p))) {
			t.Errorf("%s is another page each time", filepath.Base(p))
		}
	}
	t.Run("man", func(t *testing.T) {
		if _, err := exec.LookPath("man"); err != nil {
			lack(t, "man is missing: apt-get install man-db")
		}
		for _, p := range pages {
			cmd := exec.Command("man", "--warnings", "-l", p)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANPAGER=cat")
			var bad strings.Builder
			cmd.Stderr = &bad
			if out, err := cmd.Output(); err != nil || bad.Len() > 0 || !strings.Contains(string(out), "SYNOPSIS") {
				t.Errorf("man says of %s: %v\n%s%s", filepath.Base(p), err, bad.String(), out)
			}
		}
	})
	for _, v := range verbs(t) {
		if v == "help" {
			continue
		}
		if got, want := mustRun(t, "man", v), read(t, filepath.Join(dirs[0], "stekring-"+v+".1")); got != want {
			t.Errorf("man %s prints\n%s\nand writes\n%s", v, got, want)
		}
	}
	root := mustRun(t, "man")
	for _, want := range []string{".SH EXIT STATUS", ".SH ENVIRONMENT", "STEKRING_ETCD_ENDPOINTS", ".SH FILES", "/etc/stekring/stekring.yaml", ".SH SEE ALSO"} {
		if !strings.Contains(root, want) {
			t.Errorf("the page of stekring lacks %s:\n%s", want, root)
		}
	}
	for _, args := range [][]string{{"man", "nonsense"}, {"man", "status", "extra"}, {"man", "status", "--out", t.TempDir()}} {
		if _, bad, code := stekring(t, args...); code != 2 || bad == "" {
			t.Errorf("%v: exit %d, %q; want 2 and why", args, code, bad)
		}
	}
}

// TestCompletion has a real bash complete what is typed.
func TestCompletion(t *testing.T) {
	t.Parallel()
	const functions = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(functions); err != nil {
		lack(t, "bash-completion is missing: apt-get install it")
	}
	// What is typed is completed by all that fits, and then run: by a function
	// that prints it.
	rc := filepath.Join(t.TempDir(), "rc")
	if err := os.WriteFile(rc, []byte("source "+functions+"\nsource <(stekring completion bash)\nbind '\"\\t\": insert-completions'\n"+
		`stekring() { if [[ $1 == __complete* ]]; then command stekring "$@"; else printf '<%s>\n' "$*"; fi; }`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"sta":                     "status",
		"re":                      "revoke",
		"man prob":                "man probe",
		"status -o ":              "status -o json table yaml",
		"status --output j":       "status --output json",
		"version -o ":             "version -o json text",
		"demo -o t":               "demo -o table",
		"probe --tls ":            "probe --tls 1.2 1.3 both",
		"run --log-level ":        "run --log-level debug error info warn",
		"run --log-format=con":    "run --log-format=console",
		"rotate ":                 "rotate", // not the files that are here
		"completion ba":           "completion bash",
		"import testdata/alert":   "import testdata/alerts.yml",
		"run --config testdata/a": "run --config testdata/alerts.yml",
	} {
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--rcfile", rc, "-i")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "TERM=dumb", "INPUTRC=/dev/null", "HISTFILE=")
		cmd.SysProcAttr = session() // away from the terminal of this test
		cmd.Stdin = strings.NewReader("stekring " + typed + "\t\n")
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), "<"+want+">") {
			t.Errorf("%q is completed to\n%s\nwant %q", typed, out, want)
		}
	}
}
