package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// raceDetector is whether this test has it.
var raceDetector bool

// TestServers runs the tests of integration/servers, which bind servers that
// nothing else here depends on.
func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("builds servers for half a minute")
	}
	nested(t, "servers")
}

// TestPage runs the tests of integration/page, which look at the status page with
// a browser.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("CI") == "" {
		t.Skip("chromium is not installed: nothing is known of the status page; apt-get install chromium")
	}
	nested(t, "page")
}

// nested runs the tests of a module of its own, beside others.
func nested(t *testing.T, module string) {
	t.Helper()
	t.Parallel()
	// What they hold to a page outside their module would else come from a cache.
	args := []string{"test", "-count=1", "-timeout=8m"}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./...")...)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
