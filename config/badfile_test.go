package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// checks wants CheckFiles to find exactly that problem, or warn of exactly that.
func checks(t *testing.T, c *Config, problem, warning string) {
	t.Helper()
	list := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	match(t, problems(t, c.CheckFiles()), list(problem))
	match(t, c.Warnings, list(warning))
}

// file writes a file that nobody else may read.
func file(t *testing.T, data []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func badCertificates(t *testing.T) {
	says{
		"etcd: {endpoints: [https://a:1], cert_file: c}":    `c.yaml:1: etcd.cert_file: "c": needs etcd.key_file as well; set both or none`,
		"etcd: {endpoints: [https://a:1], key_file: c}":     `c.yaml:1: etcd.key_file: "c": needs etcd.cert_file as well`,
		"listeners: [{address: ':1', cert_file: c}]":        `c.yaml:1: listeners[0].cert_file: "c": needs listeners[0].key_file as well`,
		"listeners: [{address: ':1'}]":                      "c.yaml:1: listeners[0].cert_file: is required",
		"etcd: {endpoints: ['http://[::1]:1'], ca_file: c}": `c.yaml:1: etcd.ca_file: "c": has no use with http endpoints`,
	}.prove(t)
	_, other := certificate(t, -time.Hour, time.Hour)
	for _, c := range []struct {
		from, to         time.Duration
		key              []byte
		problem, warning string
	}{
		{-time.Hour, time.Hour, other, "private key does not match public key", ""},
		{-time.Hour, time.Hour, []byte("hunter2"), "with key ", ""},
		{-2 * time.Hour, -time.Hour, nil, "", "expired " + time.Now().Add(-time.Hour).UTC().Format("2006-01-02")},
		{time.Hour, 2 * time.Hour, nil, "", "not valid before " + time.Now().Add(time.Hour).UTC().Format("2006-01-02")},
	} {
		cert, key := certificate(t, c.from, c.to)
		if c.key != nil {
			key = c.key
		}
		checks(t, &Config{Etcd: Etcd{CertFile: file(t, cert), KeyFile: file(t, key)}}, c.problem, c.warning)
	}
}

func badAuthorities(t *testing.T) {
	_, key := certificate(t, -time.Hour, time.Hour)
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("hunter2"), "a key": key, "zeros": make([]byte, 1<<16)} {
		t.Log(name)
		checks(t, &Config{Etcd: Etcd{CAFile: file(t, data)}}, `file": holds no certificate in PEM`, "")
	}
	checks(t, &Config{Etcd: Etcd{CAFile: "/dev/zero"}}, `etcd.ca_file: "/dev/zero": must be a regular file`, "")
}

func noKEK(t *testing.T) {
	says{
		"seal: {}":                                        "c.yaml:1: seal.kek_file: is required; give the file that all nodes have, or make the first with: stekring keygen --out FILE",
		"seal: {kek_file: ''}":                            "c.yaml:1: seal.kek_file: is required",
		"seal: {insecure_plaintext: false}":               "c.yaml:1: seal.kek_file: is required",
		"seal: {kek_file: kek, insecure_plaintext: true}": "c.yaml:1: seal.insecure_plaintext: true: excludes seal.kek_file; remove one of them",
	}.prove(t)
	gone := filepath.Join(t.TempDir(), "gone")
	checks(t, &Config{Seal: Seal{KEKFile: gone}}, `seal.kek_file: "`+gone+`": no such file or directory`, "")
}

// random returns a KEK line of n bytes; canaries has its beginning.
func random(id string, n int) string {
	b := make([]byte, 64)
	for i := range b {
		b[i] = byte(i)
	}
	return id + ":" + base64.StdEncoding.EncodeToString(b[:n]) + "\n"
}

// keks wants each KEK file to have that problem.
func keks(t *testing.T, files map[string]string) {
	t.Helper()
	for content, want := range files {
		checks(t, &Config{Seal: Seal{KEKFile: file(t, []byte(content))}}, want, "")
	}
}

func badKEKs(t *testing.T) {
	raw := make([]byte, 32)
	keks(t, map[string]string{
		random("a", 31):                        "KEK line 1: want base64 of 32 bytes after the colon, got 31 bytes",
		random("a", 32) + random("b", 33):      "KEK line 2: want base64 of 32 bytes after the colon, got 33 bytes",
		"a:" + hex.EncodeToString(raw):         "KEK line 1: want base64 of 32 bytes after the colon, got 48 bytes",
		random("a", 32)[2:]:                    "KEK line 1: no colon: want id:base64 of 32 bytes; make one with: stekring keygen",
		string(bytes.Repeat([]byte{7, 8}, 16)): "KEK line 1: no colon",
		"\xef\xbb\xbf" + random("a", 32):       "KEK line 1: the id before the colon must be",
		"-----BEGIN PRIVATE KEY-----\nhunter2": "KEK line 1: no colon",
		"# a comment\r\n \n":                   "a KEK file without keys; make one with: stekring keygen",
	})
	keks(t, map[string]string{strings.ReplaceAll("# ours\n"+random("a", 32), "\n", " \t\r\n"): ""}) // what editors leave
}

func weakKEKs(t *testing.T) {
	keks(t, map[string]string{
		"a:" + base64.StdEncoding.EncodeToString(make([]byte, 32)):               "KEK line 1: a constant key is no secret; make one with: stekring keygen",
		"a:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)): "KEK line 1: a constant key is no secret",
	})
	t.Run("text for a key", func(t *testing.T) {
		t.Skip("not built: seal.ParseKEK refuses a constant key only, and takes 32 letters for a key")
	})
}

func doubleKEKs(t *testing.T) {
	keks(t, map[string]string{
		random("a1", 32) + "# b\n" + random("a1", 32): "KEK line 3: repeats the id or the key of a1",
		random("a1", 32) + random("b7", 32):           "KEK line 2: repeats the id or the key of a1",
	})
}

func badKEKFiles(t *testing.T) {
	dir := t.TempDir()
	kek := func(name string, mode os.FileMode) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(random("a", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(f, mode); err != nil {
			t.Fatal(err)
		}
		return f
	}
	link := func(name, to string) string {
		f := filepath.Join(dir, name)
		if err := os.Symlink(to, f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	fifo := filepath.Join(dir, "fifo")
	if err := exec.Command("mkfifo", "-m", "600", fifo).Run(); err != nil {
		t.Skip("no FIFO here: ", err)
	}
	sparse := kek("sparse", 0o600)
	if err := os.Truncate(sparse, 1<<30); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[string]string{
		kek("0644", 0o644):                  "mode 0644 lets others read or change it; chmod 600 it",
		kek("0620", 0o620):                  "mode 0620 lets others read or change it",
		link("to 0604", kek("0604", 0o604)): "mode 0604 lets others read or change it",
		dir:                                 "must be a regular file",
		fifo:                                "must be a regular file",
		link("to fifo", fifo):               "must be a regular file",
		"/dev/zero":                         "must be a regular file",
		sparse:                              "1073741824 bytes, must be at most 65536",
		link("loop", "loop"):                "too many levels of symbolic links",
	} {
		checks(t, &Config{Seal: Seal{KEKFile: f}}, `seal.kek_file: "`+f+`": `, "")
		checks(t, &Config{Seal: Seal{KEKFile: f}}, want, "")
	}
	t.Run("in a folder that others may write to", func(t *testing.T) {
		t.Skip("not built: seal.LoadKEK looks at the file's mode, not at its owner and its folders")
	})
}

func pastedKEKs(t *testing.T) {
	key := strings.TrimSpace(random("a", 32))
	raw, _ := base64.StdEncoding.DecodeString(key[2:])
	const path = ": (not shown): looks like a key; give the path of a file, not what it holds"
	for value, want := range map[string]string{
		key: path, key[2:]: path, hex.EncodeToString(raw): path, "a:" + strings.ToUpper(hex.EncodeToString(raw)): path,
		"-----BEGIN PRIVATE KEY----- hunter2":    path,
		"-----BEGIN PRIVATE KEY-----\nhunter2\n": ": (not shown): must be printable text on one line; give the path of a file, not what it holds",
	} {
		t.Setenv("STEKRING_SEAL_KEK_FILE", value)
		_, err := Load(written(t, ""), nil, false)
		match(t, problems(t, err), []string{"environment variable STEKRING_SEAL_KEK_FILE: seal.kek_file" + want})
	}
	t.Setenv("STEKRING_SEAL_KEK_FILE", "kek")
	t.Setenv("STEKRING_SEAL_KEK", key)
	_, err := Load(written(t, ""), nil, false)
	match(t, problems(t, err), []string{"environment variable STEKRING_SEAL_KEK: names no key; did you mean STEKRING_SEAL_KEK_FILE? (secrets come from files only)"})
	os.Unsetenv("STEKRING_SEAL_KEK")
	says{"seal: {kek: '" + key + "'}": "seal.kek: unknown key; did you mean seal.kek_file? (secrets come from files only)"}.prove(t)
}

func badAddresses(t *testing.T) {
	const form = ": must be host:port with a port from 0 to 65535"
	says{
		"http: {address: '0.0.0.0:admin'}":                                    `c.yaml:1: http.address: "0.0.0.0:admin"` + form + ", or empty for none",
		"http: {address: '9474'}":                                             `c.yaml:1: http.address: "9474"` + form,
		"http: {address: ':65536'}":                                           `c.yaml:1: http.address: ":65536"` + form,
		"http: {address: '::1:80'}":                                           `c.yaml:1: http.address: "::1:80"` + form,
		"listeners: [{address: '127.0.0.1:9474', cert_file: c, key_file: k}]": "listeners[0].address: \"127.0.0.1:9474\": is taken by http.address already; choose another port",
	}.prove(t)
	t.Run("busy", func(t *testing.T) { t.Skip("shown by: integration TestBadInput/C25") })
}

func openPage(t *testing.T) {
	for address, warn := range map[string]bool{":9474": true, "0.0.0.0:9474": true, "10.0.0.1:9474": true, "127.0.0.1:1": false, "": false} {
		c, err := Load(written(t, "http: {address: '"+address+"'}"), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Warnings, "\n"); strings.Contains(got, "http.address: ") != warn {
			t.Errorf("address %s: warnings %q, want one %t", address, got, warn)
		}
	}
}
