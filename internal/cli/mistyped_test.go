package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestKeysTypedAreNotRepeated is a key where its file's path belongs.
func TestKeysTypedAreNotRepeated(t *testing.T) {
	const key = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	const pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
	for _, args := range [][]string{
		{"validate", key}, {"validate", pem}, {"validate", "-c" + key}, {"validate", "--" + key},
		{"validate", "--config", key + " # prod"}, {"validate", "--config=" + key + "\n# all\n"}, {"validate", "--config", pem},
		{"keygen", "--out", key}, {key}, {"status", "--output", key}, {"import", key},
	} {
		var out, bad bytes.Buffer
		if code := Main(args, &out, &bad); code == 0 {
			t.Errorf("%q: exit 0", args)
		}
		if text := out.String() + bad.String(); strings.Contains(text, "AAECAwQF") || strings.Contains(text, "MC4CAQAw") {
			t.Errorf("%q: a key is repeated:\n%s", args, text)
		}
	}
}
