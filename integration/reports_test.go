package integration

import (
	"encoding/json"
	"testing"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
)

// TestReportsOff has a fleet of which status knows the leader alone, and finds
// nothing wrong.
func TestReportsOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	off := func(c *config.Config) { c.Reports.Enabled = false }
	nodes := []*process{s.run("a", off), s.run("b", off)}
	for _, p := range nodes {
		p.share()
	}
	eventually(t, "only the leader reports, and status is content", func() bool {
		var st fleet.Status
		out, _, code := stekring(t, "status", "--check", "-o", "json", "--config", s.dir+"/a.yaml")
		return json.Unmarshal([]byte(out), &st) == nil && code == 0 && len(st.Nodes) == 1 && st.Nodes[0].ID == st.Leader.ID
	})
}
