package daemon

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

// reload takes over all of a configuration that a running node can. If anything
// is wrong with it, nothing changes.
func reload(next *config.Config, o Options, f *front, rot *rotator.Rotator, dev *seal.KEK, ttl time.Duration) error {
	if next.Rotation.Interval <= ttl {
		return fmt.Errorf("rotation.interval: %v: must be above the election.ttl with which this node runs, %v; restart it for another", next.Rotation.Interval, ttl)
	}
	if o.Dev && len(next.Listeners) == 0 {
		next.Listeners = []config.Listener{{Address: devListener}}
	}
	kek, err := KEK(next.Seal)
	if err != nil {
		return err
	}
	if kek == nil {
		kek = dev
	}
	if err := f.apply(next.Listeners); err != nil {
		return err
	}
	_ = o.Level.UnmarshalText([]byte(next.Log.Level)) // checked with the rest, as the policy is
	o.Log.Info("sealing the ring", zap.Stringer("kek", kek), zap.Any("policy", next.Policy()))
	return rot.Reconfigure(kek, next.Policy())
}

// needRestart names the parts of a configuration that a running node keeps.
func needRestart(old config.Config, next *config.Config) (parts []string) {
	for name, pair := range map[string][2]any{
		"ring": {old.Ring, next.Ring}, "node_id": {old.NodeID, next.NodeID}, "etcd": {old.Etcd, next.Etcd},
		"election": {old.Election, next.Election}, "reports": {old.Reports, next.Reports}, "outage": {old.Outage, next.Outage}, "tickets": {old.Tickets, next.Tickets}, "http": {old.HTTP, next.HTTP},
		"log.format": {old.Log.Format, next.Log.Format},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	return parts
}
