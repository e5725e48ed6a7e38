package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/keyring"
)

// forms returns what a key looks like in text and in bytes, as parts of it that
// are there wherever in something larger it lies.
func forms(key []byte) (forms [][]byte) {
	h := hex.EncodeToString(key)
	numbers := strings.Trim(fmt.Sprint(key), "[]")
	for _, s := range []string{
		string(key), h, strings.ToUpper(h), numbers, strings.ReplaceAll(numbers, " ", ","), strings.ReplaceAll(numbers, " ", ", "),
	} {
		forms = append(forms, []byte(s))
	}
	for lead := range 3 { // bytes before it in the same base64
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			b := []byte(enc.EncodeToString(append(make([]byte, lead), key...)))
			if lead > 0 {
				b = b[4:] // mixed with what is before
			}
			forms = append(forms, b[:len(b)-4]) // mixed with what follows
		}
	}
	return forms
}

func holds(haystack, key []byte) bool {
	for _, f := range forms(key) {
		if bytes.Contains(haystack, f) {
			return true
		}
	}
	return false
}

func TestHoldsFindsKeys(t *testing.T) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(250 - 7*i)
	}
	for _, s := range []string{
		string(key), hex.EncodeToString(key), fmt.Sprintf("%X", key), fmt.Sprint(key), fmt.Sprintf("%v", [][]byte{key}),
		base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key),
		base64.URLEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
		base64.StdEncoding.EncodeToString([]byte("a" + string(key) + "bc")), base64.RawURLEncoding.EncodeToString([]byte("ab" + string(key) + "c")),
	} {
		if !holds([]byte("before "+s+" after"), key) {
			t.Errorf("%q is not seen to hold the key", s)
		}
	}
	if holds([]byte("nothing"), key) {
		t.Error("nothing is seen to hold the key")
	}
}

// TestShowsAllButKeys looks at all that a fleet shows of itself: that what is
// promised is there, and that no key is.
func TestShowsAllButKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := etcd.Start(t.Context(), dir, "127.0.0.1:0", 20*time.Millisecond, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	stopEtcd := func() {
		if e != nil {
			e.Close()
		}
		e = nil
	}
	t.Cleanup(stopEtcd)
	s := newSite(t, e.Endpoint)
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{e.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	h := s.record(client)
	debug := func(c *config.Config) { c.Log.Level = "debug" }
	nodes := []*process{s.run("a", debug), s.run("b", debug)}

	shown := map[string][]byte{}
	show := func(where, what string) { shown[where] = append(shown[where], what...) }
	look := func() {
		t.Helper()
		leaders := 0
		for _, p := range nodes {
			show("TLS of "+p.id, s.visitor().visit(p.tlsAddress()).body)
			for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/api/v1/status"} {
				code, body := p.get(path)
				if code != http.StatusOK || body == "" {
					t.Errorf("%s of %s: %d %q", path, p.id, code, body)
				}
				show(path+" of "+p.id, body)
				switch path {
				case "/metrics":
					leaders += strings.Count(body, "stekring_is_leader{ring=\"www\"} 1\n")
					for _, name := range []string{
						"build_info", "ring_epoch", "ring_version", "ring_age_seconds", "ring_keys", "sealing_locally",
						"is_leader", "rotations_total", "etcd_last_contact_timestamp_seconds",
					} {
						if strings.Count(body, "\nstekring_"+name+"{") != 1 || !strings.Contains(body, "# HELP stekring_"+name+" ") {
							t.Errorf("/metrics of %s: want stekring_%s, once", p.id, name)
						}
					}
				case "/api/v1/status":
					if got := fields(t, body, ""); !subset([]string{
						"ring", "id", "info", "seen", "applied", "stale", "sealing", "local", "leader", "rotated", "observer",
					}, got) || !subset([]string{"epoch", "version", "rotated", "policy", "keys"}, fields(t, body, "info")) {
						t.Errorf("%s of %s has fields %v", path, p.id, got)
					}
				}
			}
			for _, path := range []string{"/nothing", "/debug/pprof/", "/debug/vars"} {
				if code, body := p.get(path); code != http.StatusNotFound {
					t.Errorf("%s of %s: %d %s", path, p.id, code, body)
				}
			}
			for _, name := range []string{"cmdline", "environ"} {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
				if err != nil && runtime.GOOS == "linux" {
					t.Error(err)
				}
				show(name+" of "+p.id, string(b))
			}
		}
		if leaders != 1 {
			t.Errorf("stekring_is_leader is 1 at %d nodes, want one", leaders)
		}
		for _, format := range []string{"table", "json", "yaml"} {
			show("status -o "+format, mustRun(t, "status", "-o", format, "--config", s.configure("operator")))
		}
	}
	for _, p := range nodes {
		p.share()
	}
	leader(t, nodes)
	look()
	h.settle(3, nodes) // with a retired key
	look()

	for _, p := range nodes {
		p.terminate()
		show("log of "+p.id, p.text())
	}
	stopEtcd() // so that all it has is in its files
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		show("etcd's "+filepath.Base(path), string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	// That everything was looked at shows in what must be there: some key's id.
	for _, where := range []string{"TLS of a", "/api/v1/status of b", "log of a", "log of b", "status -o table", "status -o json", "status -o yaml"} {
		if !slices.ContainsFunc(h.all(), func(r *keyring.Ring) bool { return bytes.Contains(shown[where], []byte(r.Info().Keys[0].ID)) }) {
			t.Errorf("%s knows no key", where)
		}
	}
	written := 0
	for where, what := range shown {
		if strings.HasPrefix(where, "etcd's ") && bytes.Contains(what, []byte("STEKRING")) {
			written++
		}
	}
	if written < 2 {
		t.Errorf("the record is in %d files of etcd, want the log and the database", written)
	}

	secrets := map[string][]byte{}
	for _, r := range h.all() {
		for i, k := range r.TicketKeys("") {
			secrets["key "+r.Info().Keys[i].ID] = k[:]
		}
	}
	kek := strings.TrimSpace(strings.SplitN(string(s.kek().File()), ":", 2)[1])
	secrets["KEK"], err = base64.StdEncoding.DecodeString(kek)
	if err != nil || len(secrets) < 5 {
		t.Fatalf("%d secrets, %v", len(secrets), err)
	}
	for where, what := range shown {
		for name, secret := range secrets {
			if holds(what, secret) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
	}
}
