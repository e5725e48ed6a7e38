package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
)

// TestReloadKeepsTheLeaseBelowTheInterval is a file that is right by itself, for
// a node that runs with a longer lease than it says.
func TestReloadKeepsTheLeaseBelowTheInterval(t *testing.T) {
	next := &config.Config{Rotation: config.Rotation{Interval: 5 * time.Second}}
	if err := reload(next, Options{}, nil, nil, nil, 15*time.Second); err == nil || !strings.Contains(err.Error(), "election.ttl") {
		t.Errorf("reload = %v, want it refused for election.ttl", err)
	}
}
