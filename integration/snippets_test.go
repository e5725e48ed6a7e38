package integration

import (
	"path/filepath"
	"strings"
	"testing"
)

// lines returns the lines of Go code, whatever their indentation.
func lines(code string) string {
	var b strings.Builder
	for l := range strings.Lines(code) {
		if l = strings.TrimSpace(l); l != "" {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

// TestDocsGoIsRun holds the Go lines of a page to those of a program or of an
// example that is built and run. README's are held to one program elsewhere.
func TestDocsGoIsRun(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"linked/main.go", "../tlsbind/example_test.go", "servers/example_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s, %v", pattern, err)
		}
		for _, f := range files {
			code.WriteString(lines(read(t, f)))
		}
	}
	found := 0
	for _, page := range pages(t) {
		for i, b := range blocks(read(t, page), "go") {
			found++
			if !strings.Contains(code.String(), lines(b)) {
				t.Errorf("%s: go block %d is in no example:\n%s", page, i, b)
			}
		}
	}
	if found < 7 {
		t.Errorf("%d go blocks, want more", found)
	}
}
