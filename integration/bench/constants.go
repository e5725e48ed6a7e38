package main

import (
	"context"
	"fmt"
)

// constants measures what the simulation goes by.
func (s *scaled) constants(ctx context.Context, b *bench) error {
	for _, front := range []struct {
		who             string
		proxied, secure bool
		into            *costs
	}{
		{"etcd", false, false, &s.plain}, {"proxy", true, false, &s.proxy},
		{"etcd, TLS", false, true, &s.tls}, {"proxy, TLS", true, true, &s.proxied},
	} {
		if b.quick && front.secure {
			continue
		}
		b.say("scale: constants: %s", front.who)
		err := func() error {
			m, err := startMembers(ctx, 1, front.secure && !front.proxied)
			if err != nil {
				return err
			}
			defer m.end()
			server := m[0]
			if front.proxied {
				if server, err = startProxy(ctx, m, front.secure); err != nil {
					return err
				}
				defer members{server}.end()
			}
			*front.into, err = measure(ctx, server, m, s.nodes, of(b, 5000, 200))
			return err
		}()
		if err != nil {
			return fmt.Errorf("constants of %s: %w", front.who, err)
		}
	}
	// The proxy does not count what it sends; it is what etcd would.
	s.proxy.eventBytes, s.proxied.eventBytes = s.plain.eventBytes, s.tls.eventBytes
	t := b.table("Constants", "what", "etcd", "gRPC proxy", "etcd, TLS", "gRPC proxy, TLS")
	row := func(what string, of func(c *costs) any) {
		cells := []any{what}
		for _, c := range []*costs{&s.plain, &s.proxy, &s.tls, &s.proxied} {
			if c.commit == nil {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, of(c))
		}
		t.row(cells...)
	}
	const us, kb = 1e6, 1e-3
	row("CPU of a ring to a node, µs", func(c *costs) any { return c.event * us })
	row("CPU of a ring at the node itself, µs", func(c *costs) any { return c.node * us })
	row("CPU of a poll, µs", func(c *costs) any { return c.poll * us })
	row("of a poll through the proxy in etcd, µs", func(c *costs) any { return c.behind.poll * us })
	row("of a poll of 3 members, all together, µs", func(c *costs) any {
		if c != &s.plain {
			return "-"
		}
		return s.shared * us
	})
	row("CPU of a lease's keepalive, µs", func(c *costs) any {
		if c == &s.proxy || c == &s.proxied {
			return "-"
		}
		return c.keepalive * us
	})
	row("CPU of a report, µs", func(c *costs) any { return c.report * us })
	row("CPU of a new client and its first read, µs", func(c *costs) any { return c.connect * us })
	row("CPU of its watch, µs", func(c *costs) any { return c.watch * us })
	row("CPU of a node's return after a restart, µs", func(c *costs) any { return c.reconnect * us })
	row("CPU of that at the node itself, µs", func(c *costs) any { return c.nodeReturn * us })
	row("KB of a ring to a node", func(c *costs) any { return c.eventBytes * kb })
	row("KB of a poll", func(c *costs) any { return c.pollBytes * kb })
	row("KB out of etcd, a ring to all nodes", func(c *costs) any { return c.behind.bytes * kb })
	row("etcd's CPU, a ring to all nodes, ms", func(c *costs) any { return c.behind.event * 1000 })
	row("watches in etcd of all nodes", func(c *costs) any { return int(c.behind.watchers) })
	row("memory without nodes, MB", func(c *costs) any { return c.rss / 1e6 })
	row("memory of a connection, KB", func(c *costs) any { return c.rssConnected * kb })
	row("memory of its watch, KB", func(c *costs) any { return c.rssWatching * kb })
	row("files of a node", func(c *costs) any { return c.files })
	row("goroutines of a node", func(c *costs) any { return c.goroutines })
	row("a write that nobody watches, p50 ms", func(c *costs) any { return c.commit.at(50) * 1000 })
	row("a write that nobody watches, p95 ms", func(c *costs) any { return c.commit.at(95) * 1000 })
	row("restart: outage, ms", func(c *costs) any { return ms(c.outage) })
	row("restart: until all have a new ring, ms", func(c *costs) any { return ms(c.storm) })
	return nil
}
