package seal

import (
	"fmt"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// BenchmarkOpen is what a node does with each new record: authenticate, decrypt
// and parse.
func BenchmarkOpen(b *testing.B) {
	k, now := testKEK(b, 1), time.Now()
	ring := keyring.DefaultPolicy.First(1, 1, now)
	for _, n := range []int{2, 15, keyring.MaxKeys} {
		for len(ring.Info().Keys) < n {
			var err error
			if ring, err = keyring.DefaultPolicy.Next(ring, now, now); err != nil {
				b.Fatal(err)
			}
		}
		rec := sealed(b, k, ring)
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Open(path, rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
