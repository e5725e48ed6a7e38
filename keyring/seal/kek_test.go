package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseKEK(t *testing.T) {
	a, b := line("a", testRaw(0)), line("b", testRaw(1))
	long := strings.Repeat("aZ09.-_x", 8)
	var many string
	var all []string
	for i := range maxKEKs {
		many += line(fmt.Sprint(i), testRaw(i))
		all = append(all, fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"one":              {a, []string{"a"}},
		"two, in order":    {b + a, []string{"b", "a"}},
		"no last newline":  {strings.TrimSuffix(a, "\n"), []string{"a"}},
		"CRLF":             {strings.ReplaceAll(a+b, "\n", "\r\n"), []string{"a", "b"}},
		"comments":         {"# the new one\n" + b + "\n  # the old one, until Friday\n\t\n" + a + "#", []string{"b", "a"}},
		"spaces":           {"  " + strings.Replace(a, ":", ": \t", 1), []string{"a"}},
		"an id of 64":      {line(long, testRaw(0)), []string{long}},
		"32 keys":          {many, all},
		"a file of 64 KiB": {a + "#" + strings.Repeat("x", maxFile-len(a)-1), []string{"a"}},
	} {
		k, err := ParseKEK([]byte(c.file))
		if err != nil {
			t.Errorf("%s: ParseKEK = %v, want %v", name, err, c.want)
		} else if got := k.ids; !slices.Equal(got, c.want) {
			t.Errorf("%s: ParseKEK = %v, want %v", name, got, c.want)
		}
	}
}

func TestParseKEKRefuses(t *testing.T) {
	a, raw := line("a", testRaw(0)), testRaw(1)
	var many string
	for i := range maxKEKs + 1 {
		many += line(fmt.Sprint(i), testRaw(i))
	}
	text := base64.StdEncoding.EncodeToString(raw)
	for name, c := range map[string]struct{ file, want string }{
		"empty":             {"", "without keys"},
		"comments alone":    {"# none yet\n\n", "without keys"},
		"no colon":          {a + text, "line 2: no colon"},
		"no id":             {":" + text, "line 1: the id before the colon"},
		"a space in the id": {"a b:" + text, "line 1: the id before the colon"},
		"a space after it":  {"a :" + text, "line 1: the id before the colon"},
		"a path for an id":  {"../a:" + text, "line 1: the id before the colon"},
		"an id of 65":       {strings.Repeat("a", 65) + ":" + text, "line 1: the id before the colon"},
		"an id in Greek":    {"κ:" + text, "line 1: the id before the colon"},
		"a byte-order mark": {"\ufeff" + a, "line 1: the id before the colon"},
		"no key":            {"a:", "line 1: want base64 of 32 bytes after the colon, got 0 bytes"},
		"31 bytes":          {line("a", raw[:31]), "line 1: want base64 of 32 bytes after the colon, got 31 bytes"},
		"33 bytes":          {a + "\n# next\n" + line("b", append(raw[:32:32], 'x')), "line 4: want base64 of 32 bytes after the colon, got 33 bytes"},
		"hexadecimal":       {fmt.Sprintf("a:%x", raw), "line 1: want base64 of 32 bytes after the colon, got 48 bytes"},
		"no padding":        {"a:" + strings.TrimSuffix(text, "="), "line 1: want base64 of 32 bytes"},
		"base64url":         {line("a", bytes.Repeat([]byte{0xfb, 0xff}, 16))[:6] + "-_" + text[8:], "line 1: want base64 of 32 bytes"},
		"a trailing note":   {"a:" + text + " # the new one", "line 1: want base64 of 32 bytes"},
		"a zero key":        {line("a", make([]byte, 32)), "line 1: a constant key is no secret"},
		"a constant key":    {a + line("b", bytes.Repeat([]byte{7}, 32)), "line 2: a constant key is no secret"},
		"an id twice":       {a + line("a", raw), "line 2: repeats the id or the key of a"},
		"a key twice":       {a + line("c", raw) + line("b", testRaw(0)), "line 3: repeats the id or the key of a"},
		"33 keys":           {many, "line 33: more than 32 keys"},
		"over 64 KiB":       {a + "#" + strings.Repeat("x", maxFile-len(a)), "KEK file of 65537 bytes: must be at most 65536"},
	} {
		k, err := ParseKEK([]byte(c.file))
		if k != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: ParseKEK = %v, %v, want %q", name, k, err, c.want)
			continue
		}
		for _, secret := range []string{string(raw[:10]), text[:10], fmt.Sprintf("%x", raw[:10])} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: ParseKEK = %v, which shows the line", name, err)
			}
		}
	}
}

func TestFile(t *testing.T) {
	for name, k := range map[string]*KEK{"new": NewKEK(), "one": testKEK(t, 0), "three": testKEK(t, 2, 0, 1)} {
		back, err := ParseKEK(k.File())
		if err != nil {
			t.Errorf("%s: ParseKEK(File()) = %v", name, err)
			continue
		}
		if !slices.Equal(back.ids, k.ids) || !bytes.Equal(back.File(), k.File()) {
			t.Errorf("%s: ParseKEK(File()) = %v, want %v", name, back, k)
		}
		r := testRing(t)
		mustOpen(t, name, back, sealed(t, k, r), r)
		mustOpen(t, name, k, sealed(t, back, r), r)
	}
	if got, want := string(testKEK(t, 1, 0).File()), line("test-1", testRaw(1))+line("test-0", testRaw(0)); got != want {
		t.Errorf("File() = %q, want %q", got, want)
	}
	if got := Plaintext().File(); len(got) != 0 {
		t.Errorf("Plaintext().File() = %q, want nothing", got)
	}
}

func TestNewKEK(t *testing.T) {
	a, b := NewKEK(), NewKEK()
	if len(a.ids) != 1 || a.ids[0] == b.ids[0] || bytes.Equal(a.File()[9:], b.File()[9:]) {
		t.Errorf("NewKEK() = %v and %v, want two keys of their own ids", a, b)
	}
}

// TestRotateKEK changes the KEK of a fleet node by node: everybody opens the new
// one, then it seals, then the old one goes.
func TestRotateKEK(t *testing.T) {
	r := testRing(t)
	before, opens, seals, after := testKEK(t, 0), testKEK(t, 0, 1), testKEK(t, 1, 0), testKEK(t, 1)
	old, fresh := sealed(t, opens, r), sealed(t, seals, r)
	for name, k := range map[string]*KEK{"before": before, "opens": opens, "seals": seals} {
		mustOpen(t, "old record, "+name, k, old, r)
	}
	for name, k := range map[string]*KEK{"opens": opens, "seals": seals, "after": after} {
		mustOpen(t, "fresh record, "+name, k, fresh, r)
	}
	mustRefuse(t, "fresh record, before", before, path, fresh, ErrUnknownKEK)
	mustRefuse(t, "old record, after", after, path, old, ErrUnknownKEK)
}

func TestString(t *testing.T) {
	for want, k := range map[string]*KEK{"KEK(test-0,test-1)": testKEK(t, 0, 1), "KEK(plaintext)": Plaintext()} {
		if got := k.String(); got != want {
			t.Errorf("String() = %s, want %s", got, want)
		}
	}
}
