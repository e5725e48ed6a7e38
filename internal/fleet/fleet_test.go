package fleet_test

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
)

// TestReadKeepsReportsSmall has a report that is far larger in memory than in
// etcd.
func TestReadKeepsReportsSmall(t *testing.T) {
	client := etcdtest.Start(t).Client()
	lease, err := client.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	l := fleet.NewLayout("", "www")
	report := `{"id":"a","listeners":[""` + strings.Repeat(`,""`, 2600) + `]}`
	if _, err := client.Put(t.Context(), l.Node("a"), report, clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	s, err := fleet.Read(t.Context(), client, l)
	if err != nil || len(s.Nodes) != 1 || len(s.Nodes[0].Listeners) == 0 || cap(s.Nodes[0].Listeners) > 100 {
		t.Fatalf("Read = %+v, %v, capacity %d; want one node of 64 listeners at most", len(s.Nodes[0].Listeners), err, cap(s.Nodes[0].Listeners))
	}
}
