package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stekring/stekring/internal/allocated"
)

// FuzzLoad holds every file to three rules: no panic, problems that fit on a
// line each, and what is accepted can be written and read back.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
	}
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\nring: *b"), true)
	f.Add([]byte("ring: *ring"), true)
	f.Add([]byte("\xef\xbb\xbfring: a"), true)
	f.Fuzz(func(t *testing.T, data []byte, dev bool) {
		var c *Config
		var err error
		allocated.Check(t, data, func() { c, err = parse("fuzz.yaml", data, nil, nil, dev) })
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || strings.ContainsFunc(strings.Join(e.Problems, ""), unicode.IsControl) {
				t.Errorf("error %q (%T)", err, err)
			}
			return
		}
		roundTrip(t, c, dev)
	})
}
