package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPage runs the commands of the page about the demo, as they are printed.
func TestPage(t *testing.T) {
	if !*compose {
		t.Skip("needs a Docker engine and a minute: go test ./integration/demo -compose")
	}
	d, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/how-to/containers.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := "set -euo pipefail\n"
	if d.command[0] == "docker-compose" { // a reader with that one knows
		lines += "docker() { if [ \"$1\" = compose ]; then shift; command docker-compose \"$@\"; else command docker \"$@\"; fi; }\n"
	}
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		lines += m[1]
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := d.remove(ctx); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.CommandContext(t.Context(), "bash", "-c", lines)
	cmd.Dir = d.root
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), " 0 missed;"); n < 1 {
		t.Error("the clients tell of nothing")
	}
	if left, err := os.ReadDir(d.work()); err == nil {
		t.Errorf("after the end there is still %v", left)
	}
}
