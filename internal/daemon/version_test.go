package daemon

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestWarnOfIsShort is an etcd that has much to say of its version.
func TestWarnOfIsShort(t *testing.T) {
	for _, version := range []string{"3.4.0-" + strings.Repeat("A", 1<<20), "4." + strings.Repeat("0", 1<<20), strings.Repeat("x", 1<<20)} {
		core, logs := observer.New(zap.WarnLevel)
		warnOf(zap.New(core), "http://127.0.0.1:2379", version)
		for _, l := range logs.All() {
			for _, f := range l.Context {
				if len(f.String) > 300 {
					t.Errorf("of %.10s… the line has a field %s of %d bytes", version, f.Key, len(f.String))
				}
			}
		}
		if version[0] != '4' && logs.Len() != 1 {
			t.Errorf("of %.10s… there are %d lines, want 1", version, logs.Len())
		}
	}
}
