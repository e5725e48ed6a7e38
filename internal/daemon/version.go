package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/jitter"
)

// versionPause is the longest between questions to an etcd that does not answer.
const versionPause = time.Minute

// versions asks each endpoint once for its version, as soon as it answers, and
// warns of those that have known holes. It needs no permission, but where etcd
// has logins, one of them. It returns when all have answered, or when ctx ends.
func versions(ctx context.Context, client *clientv3.Client, log *zap.Logger) {
	left := client.Endpoints()
	for wait := (jitter.Backoff{}); len(left) > 0 && ctx.Err() == nil; {
		left = slices.DeleteFunc(left, func(endpoint string) bool {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			s, err := client.Status(ctx, endpoint)
			if err != nil { // why is said by those who need etcd
				log.Debug("etcd's version not known yet", zap.String("endpoint", endpoint), zap.Error(err))
				return false
			}
			warnOf(log, endpoint, s.Version)
			return true
		})
		if len(left) > 0 {
			_ = wait.Sleep(ctx, versionPause)
		}
	}
}

// warnOf warns of a version with known holes. What it is comes from the network.
func warnOf(log *zap.Logger, endpoint, version string) {
	if flaw := etcd.Flaw(version); flaw != "" {
		log.Warn("etcd has known holes", zap.String("endpoint", endpoint), zap.String("version", fmt.Sprintf("%.40s", version)), zap.String("what", flaw))
	}
}
