package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"

	"github.com/stekring/stekring/internal/etcd"
)

// etcdRole is etcd's own program.
func etcdRole(args []string) error {
	etcdmain.Main(append([]string{"etcd"}, args...))
	return errors.New("etcd ended")
}

// server is an etcd in a process of its own, which syncs to disk.
type server struct {
	endpoint string
	metrics  string      // where it tells what it has done, if not at the endpoint
	tls      *tls.Config // of its clients; nil without TLS
	args     []string
	child    *child
	dir      string
}

// startEtcd starts an etcd of one member, and waits until it serves. The caller
// ends it.
func startEtcd(ctx context.Context) (*server, error) {
	m, err := startMembers(ctx, 1, false)
	if err != nil {
		return nil, err
	}
	return m[0], nil
}

// ready waits until the server answers.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		if _, err = c.Get(ctx, "ready"); err == nil {
			return nil
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("etcd ended: %w", s.child.err)
		case <-ctx.Done():
			return fmt.Errorf("etcd at %s does not answer: %w", s.endpoint, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *server) end() {
	s.child.end()
	os.RemoveAll(s.dir)
}

// client returns a client as the daemon has it. The caller closes it.
func (s *server) client() (*clientv3.Client, error) {
	return etcd.Dial(etcd.Options{Endpoints: []string{s.endpoint}, TLS: s.tls})
}

// meters are etcd's own metrics: the sum over all labels but those asked for.
type meters struct {
	cpu            float64 // seconds
	rss            float64 // bytes
	sent, received float64 // bytes, to and from clients
	requests       float64 // messages of clients, of all kinds
	puts, txns     float64 // requests
	watchers       float64
	connections    float64 // open files are near to it
	goroutines     float64
}

// meters reads what etcd has counted.
func (s *server) meters(ctx context.Context) (meters, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cmp.Or(s.metrics, s.endpoint+"/metrics"), nil)
	if err != nil {
		return meters{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return meters{}, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return meters{}, fmt.Errorf("metrics of etcd: %w", err)
	}
	sum := func(name string, labels ...string) (total float64) {
		for _, m := range families[name].GetMetric() {
			matches := 0
			for _, l := range m.GetLabel() {
				for i := 0; i < len(labels); i += 2 {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						matches++
					}
				}
			}
			if 2*matches == len(labels) {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return total
	}
	return meters{
		cpu: sum("process_cpu_seconds_total"), rss: sum("process_resident_memory_bytes"),
		sent: sum("etcd_network_client_grpc_sent_bytes_total"), received: sum("etcd_network_client_grpc_received_bytes_total"),
		requests:    sum("grpc_server_msg_received_total"),
		puts:        sum("grpc_server_started_total", "grpc_method", "Put"),
		txns:        sum("grpc_server_started_total", "grpc_method", "Txn"),
		watchers:    sum("etcd_debugging_mvcc_watcher_total"),
		connections: sum("process_open_fds"),
		goroutines:  sum("go_goroutines"),
	}, nil
}

// freeAddress returns a free address of the loopback.
func freeAddress() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
