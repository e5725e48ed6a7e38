package main

import "testing"

func TestDue(t *testing.T) {
	at := func(epoch, version uint64) fact { return fact{epoch: epoch, version: version} }
	own := fact{epoch: 1, version: 7, local: true}
	same := func(f fact) facts { return facts{f, f} }
	for _, tt := range []struct {
		name        string
		from, there facts
		want        bool
	}{
		{"the same ring", same(at(1, 7)), same(at(1, 7)), false},
		{"an old ticket", same(at(1, 2)), same(at(1, 7)), false},
		{"a rotation ahead: the key is staged there", same(at(1, 8)), same(at(1, 7)), false},
		{"two rotations ahead", same(at(1, 9)), same(at(1, 7)), true},
		{"a key of the node's own", same(own), same(at(1, 7)), true},
		{"where it seals with its own", same(at(1, 7)), same(own), true},
		{"from before a revoke", same(at(1, 7)), same(at(2, 8)), true},
		{"from after a revoke", same(at(2, 8)), same(at(2, 8)), false},
		{"a revoke between handshake and page", facts{at(1, 7), at(2, 8)}, same(at(2, 8)), true},
		{"a revoke at the other node meanwhile", same(at(2, 8)), facts{at(1, 7), at(2, 8)}, true},
	} {
		if got := tt.from.due(tt.there); got != tt.want {
			t.Errorf("%s: due = %t, want %t", tt.name, got, tt.want)
		}
	}
}
