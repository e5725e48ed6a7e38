package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// typed is what is typed, and what becomes of it.
type typed struct {
	args   []string
	code   int
	stderr string // part of it
}

func words(s string) []string { return strings.Fields(s) }

// pasted is a key where none belongs.
const pasted = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// check runs each command. None of them has anything to say on stdout.
func check(t *testing.T, commands ...typed) {
	t.Helper()
	for _, c := range commands {
		out, bad, code := stekring(t, c.args...)
		if code != c.code || out != "" || !strings.Contains(bad, c.stderr) || strings.Contains(bad, "goroutine ") {
			t.Errorf("stekring %s: exit %d, want %d and %q\n%s%s", strings.Join(c.args, " "), code, c.code, c.stderr, out, bad)
		}
		if strings.Contains(out+bad, pasted[3:]) {
			t.Errorf("stekring %s repeats the key:\n%s%s", strings.Join(c.args, " "), out, bad)
		}
	}
}

// TestBadInput is the list of what may be typed, and of what only a process meets.
// Rows have one numbering in all packages: C is configuration, V a ring's value
// in etcd, K what is typed, A what HTTP is asked, E what etcd answers.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		test func(*testing.T)
		skip string
	}{
		{"C19 file without an end", endlessFiles, ""},
		{"C25 address taken", busyAddress, ""},
		{"K1 no command, or an unknown one", unknownWords, ""},
		{"K2 etcd out of reach", nil, "shown by: TestEtcdOutOfReach"},
		{"K2 etcd out of reach, with a password", passwordOutOfReach, ""},
		{"K3 rotate again too soon", rotateTooSoon, ""},
		{"K4 revoke without --yes", func(t *testing.T) {
			check(t, typed{words("revoke --reason lost"), 2, "say --yes if you mean it"}, typed{words("revoke --yes"), 2, "revoke needs --reason"},
				typed{words("revoke --yes=false --reason lost"), 2, "say --yes if you mean it"})
		}, ""},
		{"K5 keygen onto what exists", keygenExisting, ""},
		{"K6 KEK removed while in use", nil, "not built: a KEK file is edited by hand; a node that lacks the ring's KEK keeps the last good ring: keyring/rotator TestBadInput/V5"},
		{"K7 unknown output", func(t *testing.T) {
			check(t, typed{words("status -o yml"), 2, `--output "yml": want table, json or yaml`}, typed{words("status --output="), 2, `--output "": want table`},
				typed{words("version -o yaml"), 2, `--output "yaml": want text or json`}, typed{words("demo -o yaml"), 2, `--output "yaml": want table or json`})
		}, ""},
		{"K8 closed pipe", closedPipe, ""},
		{"K8 interrupt", interrupt, ""},
		{"E5 certificate expired", expiredServer, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.skip != "" {
				t.Skip(row.skip)
			}
			t.Parallel()
			row.test(t)
		})
	}
}

func unknownWords(t *testing.T) {
	check(t,
		typed{nil, 2, "no command given"},
		typed{words("roatate"), 2, "Did you mean this?\n\trotate"},
		typed{words("help roatate"), 2, "Did you mean this?\n\trotate"},
		typed{words("completion"), 2, "completion needs a shell: bash, fish, powershell or zsh"},
		typed{words("completion bahs"), 2, `unknown command "bahs"`},
		typed{words("status --chek"), 2, "unknown flag: --chek; did you mean --check?"},
		typed{words("run --confg x"), 2, "unknown flag: --confg; did you mean --config?"},
		typed{words("run -x"), 2, "unknown shorthand flag: 'x'"},
		typed{words("demo --nodes three"), 2, `invalid argument "three" for "--nodes"`},
		typed{words("demo --interval 5"), 2, "missing unit"},
		typed{words("validate --kek=" + pasted), 2, "unknown flag: --kek"},
		typed{words("validate " + pasted), 2, `unknown command "(not shown)"`},
		typed{words("validate --config " + pasted), 2, "(not shown): no such file"},
		typed{words("demo --interval=" + pasted), 2, `invalid argument "(not shown)"`},
	)
}

func passwordOutOfReach(t *testing.T) {
	s := newSite(t, nobody)
	s.write(filepath.Join(s.dir, "password"), []byte("hunter2"))
	file := s.configure("operator", func(c *config.Config) {
		c.Etcd.Username, c.Etcd.PasswordFile = "node", filepath.Join(s.dir, "password")
	})
	check(t, typed{[]string{"status", "--config", file}, 3, "etcd at " + nobody}, typed{[]string{"rotate", "--config", file}, 3, "connection refused"})
}

func rotateTooSoon(t *testing.T) {
	s := newSite(t, etcdtest.Start(t).Endpoint())
	p := s.run("a", func(c *config.Config) { c.Rotation.Interval, c.Rotation.TicketLifetime = time.Hour, 12*time.Hour })
	p.share()
	check(t, typed{[]string{"rotate", "--config", s.configure("operator")}, 1, "rotate refused: the staged key has been known for "})
	if v := p.status().Info.Version; v != 1 {
		t.Errorf("version %d after a refusal, want 1", v)
	}
}

func keygenExisting(t *testing.T) {
	dir := t.TempDir()
	kek, link := filepath.Join(dir, "kek"), filepath.Join(dir, "link")
	if err := os.WriteFile(kek, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{kek, link, dir, os.DevNull} {
		check(t, typed{[]string{"keygen", "--out", file}, 1, file + " exists and is not overwritten"})
	}
	if b, err := os.ReadFile(kek); string(b) != "precious" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a link was followed")
	}
}
