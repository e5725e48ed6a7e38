package probe

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	broken := errors.New("broken")
	p := &Probe{
		Hosts: []string{"many.test:443", "[2001:db8::1]:1", "gone.test:443", "one.test:8443"}, Timeout: time.Minute,
		lookup: func(_ context.Context, _, name string) (found []netip.Addr, err error) {
			if name == "gone.test" {
				return nil, broken
			}
			for _, a := range map[string][]string{
				"many.test": {"2001:db8::2", "192.0.2.2", "192.0.2.1", "::ffff:192.0.2.2"}, "one.test": {"192.0.2.9"},
				"2001:db8::1": {"2001:db8::1"},
			}[name] {
				found = append(found, netip.MustParseAddr(a))
			}
			return found, nil
		},
	}
	want := []host{
		{"many.test:443 (192.0.2.1)", "many.test", "192.0.2.1:443", nil},
		{"many.test:443 (192.0.2.2)", "many.test", "192.0.2.2:443", nil},
		{"many.test:443 (2001:db8::2)", "many.test", "[2001:db8::2]:443", nil},
		{"[2001:db8::1]:1", "2001:db8::1", "[2001:db8::1]:1", nil},
		{"gone.test:443", "gone.test", "", broken},
		{"one.test:8443", "one.test", "192.0.2.9:8443", nil},
	}
	if got := p.resolve(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("resolve(%q) = %+v,\nwant %+v", p.Hosts, got, want)
	}
	p.ServerName = "all.test"
	for _, h := range p.resolve(t.Context()) {
		if h.name != "all.test" {
			t.Errorf("%s is asked for %s, want all.test", h.label, h.name)
		}
	}
}

// TestResolveAsksTheSystem needs no DNS for an address.
func TestResolveAsksTheSystem(t *testing.T) {
	p := &Probe{Hosts: []string{"127.0.0.1:443"}, Timeout: time.Minute}
	want := []host{{"127.0.0.1:443", "127.0.0.1", "127.0.0.1:443", nil}}
	if got := p.resolve(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("resolve = %+v, want %+v", got, want)
	}
}
