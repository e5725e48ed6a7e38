package main

import (
	"math/rand/v2"
	"slices"
)

// topology is nodes before an etcd, as they are simulated. Times are seconds.
type topology struct {
	name    string
	nodes   int
	members int
	proxied int // nodes of a proxy; 0 is without proxies

	cores     int     // of each member, of each proxy
	shared    bool    // all processes, the nodes too, share the cores of one machine
	bandwidth float64 // bytes a second out of each server; 0 is without end
	latency   float64 // from a server to what is connected to it

	etcd, proxy costs
	readAll     float64 // what all members together spend on a read of one, if there are several
}

// proxies is how many there are.
func (t *topology) proxies() int {
	if t.proxied == 0 {
		return 0
	}
	return (t.nodes + t.proxied - 1) / t.proxied
}

// polling is how much CPU time a read takes at each member, and at a proxy.
func (t *topology) polling() (member, proxy float64) {
	member = t.etcd.poll
	if t.proxied > 0 {
		member, proxy = t.proxy.behind.poll, t.proxy.poll
	}
	if t.members > 1 && t.readAll > t.etcd.poll {
		member *= t.readAll / t.etcd.poll // the leader confirms it to the others
	}
	return member / float64(t.members), proxy
}

// watchesBehind is how many watches a proxy has in etcd for all of its nodes.
func (t *topology) watchesBehind() int { return max(1, int(t.proxy.behind.watchers)) }

// The latest and the soonest time after which a node polls again.
const pollEnd, pollBegin = 30.0, 22.5

// host is a server's or a machine's cores, and what is connected behind it.
type host struct{ cpu, link *station }

// hosts are those of a topology.
func (t *topology) hosts() (members, proxies []host, node *station) {
	machine := newStation(t.cores)
	one := func() host {
		if t.shared {
			return host{machine, newStation(1)}
		}
		return host{newStation(t.cores), newStation(1)}
	}
	for range t.members {
		members = append(members, one())
	}
	for range t.proxies() {
		proxies = append(proxies, one())
	}
	if t.shared {
		node = machine
	}
	return members, proxies, node
}

// rotation returns how long after a leader began to write a ring the last node
// has it.
func (t *topology) rotation(rng *rand.Rand) (last float64) {
	var a agenda
	members, proxies, machine := t.hosts()
	commit := 0.0
	if n := len(t.etcd.commit); n > 0 {
		commit = t.etcd.commit[rng.IntN(n)]
	}
	left := t.nodes
	got := func(at float64) { last, left = max(last, at), left-1 }
	use := func(at float64) { // a node takes the ring
		if machine == nil {
			got(at + t.etcd.node)
			return
		}
		a.add(machine.serve(at, t.etcd.node), got)
	}
	// deliver has a server send the ring to somebody.
	deliver := func(h host, c costs, then func(at float64)) func(at float64) {
		return func(at float64) {
			a.add(h.cpu.serve(at, c.event), func(at float64) {
				size := 0.0
				if t.bandwidth > 0 {
					size = c.eventBytes / t.bandwidth
				}
				a.add(h.link.serve(at, size)+t.latency, then)
			})
		}
	}
	if t.proxied == 0 {
		for i := range t.nodes {
			a.add(commit, deliver(members[i%t.members], t.etcd, use))
		}
	}
	behind := t.etcd
	behind.eventBytes = t.proxy.behind.bytes / float64(t.watchesBehind())
	for i := range proxies {
		here := min(t.proxied, t.nodes-i*t.proxied)
		arrive := func(at float64) {
			for range here {
				deliver(proxies[i], t.proxy, use)(at)
			}
		}
		for k := range t.watchesBehind() { // the last one's nodes get it last
			then := func(float64) {}
			if k == t.watchesBehind()-1 {
				then = arrive
			}
			a.add(commit, deliver(members[i%t.members], behind, then))
		}
	}
	t.polls(&a, rng, members, proxies, func() bool { return left > 0 })
	for left > 0 {
		a.next()
	}
	return last
}

// polls has every node look at etcd again and again, at times of its own.
func (t *topology) polls(a *agenda, rng *rand.Rand, members, proxies []host, more func() bool) {
	atMember, atProxy := t.polling()
	if atMember == 0 {
		return
	}
	next := 0
	var poll func(at float64)
	// As they are not in step, together they come at random.
	gap := func() float64 { return rng.ExpFloat64() * (pollEnd + pollBegin) / 2 / float64(t.nodes) }
	poll = func(at float64) {
		if len(proxies) > 0 {
			proxies[next%len(proxies)].cpu.serve(at, atProxy)
		}
		for _, m := range members { // each has its share in it
			m.cpu.serve(at, atMember)
		}
		if next++; more() {
			a.add(at+gap(), poll)
		}
	}
	a.add(gap(), poll)
}

// giveUp is after how long a client gives up to connect.
const giveUp = 3.0

// storm returns how long all nodes of one server take to watch again once it is
// back after an outage. Where they are connected to other members, they go to those at
// once.
func (t *topology) storm(rng *rand.Rand, outage float64) (last float64) {
	var a agenda
	members, proxies, machine := t.hosts()
	own := func(at, work float64) { // at the node
		if machine != nil {
			at = machine.serve(at, work)
		}
		last = max(last, at)
	}
	if t.proxied == 0 && t.members > 1 {
		others := members[1:]
		for i := range t.nodes / t.members {
			a.add(others[i%len(others)].cpu.serve(0, t.etcd.watch), func(at float64) { own(at, t.etcd.nodeWatch) })
		}
		a.run()
		return last
	}
	server, cost, nodes := members[0], t.etcd, t.nodes
	if t.proxied > 0 {
		server, cost, nodes = proxies[0], t.proxy, min(t.proxied, t.nodes)
	}
	for range nodes {
		at, pause := -outage, 0.1
		again := func() float64 { // as gRPC does
			d := pause * (0.8 + 0.4*rng.Float64())
			pause = min(pause*1.6, 2)
			return d
		}
		for at < 0 {
			at += again()
		}
		var try func(at float64)
		try = func(at float64) {
			if slices.Min(server.cpu.free) > at+giveUp {
				a.add(at+giveUp+again(), try)
				return
			}
			a.add(server.cpu.serve(at, cost.connect+cost.watch), func(at float64) { own(at, cost.nodeReturn) })
		}
		a.add(at, try)
	}
	a.run()
	return last
}
