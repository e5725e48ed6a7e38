package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Member is one of several that are an etcd. They speak TLS alone, with each
// other and with clients, and take nobody whose certificate is not by their CA.
type Member struct {
	Name      string
	Cluster   string // name=https://host:port of every member, with commas; clients are served at port 2379
	Dir       string // for its data, which is synced to disk
	CertFile  string // for the member's host, and to be shown to other members
	KeyFile   string
	CAFile    string
	HealthURL string // where it answers /readyz, in clear
}

// Run runs the member until ctx ends, and returns nil. For its first 30 seconds
// it waits for enough others to be there.
func (m Member) Run(ctx context.Context, log *zap.Logger) error {
	c, err := m.config()
	if err != nil {
		return fmt.Errorf("etcd: member %q: %w", m.Name, err)
	}
	s := &Server{}
	if err := s.start(ctx, c, log); err != nil {
		return err
	}
	defer s.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.etcd.Err():
		return fmt.Errorf("etcd: member %q: %w", m.Name, err)
	}
}

func (m Member) config() (*embed.Config, error) {
	cluster, err := types.NewURLsMap(m.Cluster)
	if err != nil {
		return nil, fmt.Errorf("cluster %q: %w", m.Cluster, err)
	}
	own := cluster[m.Name]
	if len(own) != 1 || own[0].Scheme != "https" || own[0].Port() == "" {
		return nil, fmt.Errorf("cluster %q: want it to have the member once, as %s=https://host:port", m.Cluster, m.Name)
	}
	if m.CertFile == "" || m.KeyFile == "" || m.CAFile == "" || m.Dir == "" {
		return nil, errors.New("a directory for data and the files of certificate, key and CA are required")
	}
	health, err := url.Parse(m.HealthURL)
	if err != nil {
		return nil, fmt.Errorf("health URL %q: want one like http://127.0.0.1:9474", m.HealthURL)
	}
	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = m.Name, filepath.Join(m.Dir, "etcd"), m.Cluster
	c.AdvertisePeerUrls, c.ListenPeerUrls = own, []url.URL{{Scheme: "https", Host: "0.0.0.0:" + own[0].Port()}}
	c.AdvertiseClientUrls = []url.URL{{Scheme: "https", Host: own[0].Hostname() + ":2379"}}
	c.ListenClientUrls, c.ListenMetricsUrls = []url.URL{{Scheme: "https", Host: "0.0.0.0:2379"}}, []url.URL{*health}
	c.ClientTLSInfo = transport.TLSInfo{CertFile: m.CertFile, KeyFile: m.KeyFile, TrustedCAFile: m.CAFile, ClientCertAuth: true}
	c.PeerTLSInfo = c.ClientTLSInfo
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, time.Minute.String()
	return c, nil
}
