package integration

import (
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
	t.Parallel()
	// What they hold to a page outside their module would else come from a cache.
	args := []string{"test", "-count=1", "-timeout=8m"}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./...")...)
	cmd.Dir = "servers"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
