package probe

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// host is one address, and what it is called.
type host struct {
	label   string
	name    string // that its certificate must be for
	address string // to connect to
	err     error  // why there is no address
}

// resolve returns the hosts behind all names, in an order that stays the same.
func (p *Probe) resolve(ctx context.Context) []host {
	found := make([][]host, len(p.Hosts))
	each(len(found), func(i int) { found[i] = p.addresses(ctx, p.Hosts[i]) })
	return slices.Concat(found...)
}

// addresses returns a host for every address of a name, or one without any.
func (p *Probe) addresses(ctx context.Context, label string) (hosts []host) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	lookup := p.lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	name, port, err := net.SplitHostPort(label)
	var found []netip.Addr
	if err == nil {
		found, err = lookup(ctx, "ip", name)
	}
	if p.ServerName != "" {
		name = p.ServerName
	}
	if err != nil {
		return []host{{label: label, name: name, err: err}}
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	for _, a := range found {
		h := host{label: label, name: name, address: net.JoinHostPort(a.String(), port)}
		if len(found) > 1 {
			h.label += " (" + a.String() + ")"
		}
		hosts = append(hosts, h)
	}
	return hosts
}
