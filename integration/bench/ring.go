package main

import (
	"time"

	"github.com/stekring/stekring/keyring"
)

// hourly is a ring of the default policy that has come of age.
func hourly() *keyring.Ring { return full(keyring.DefaultPolicy.First(1, 1, time.Now())) }

// full rotates a ring until it has as many keys as it ever will.
func full(ring *keyring.Ring) *keyring.Ring {
	for had := 0; len(ring.Info().Keys) > had; {
		had = len(ring.Info().Keys)
		ring = later(ring)
	}
	return ring
}

// later is the next ring, as if an interval had passed.
func later(ring *keyring.Ring) *keyring.Ring {
	now, p := time.Now(), ring.Info().Policy
	next, err := p.Next(ring, now.Add(-p.Interval), now)
	if err != nil {
		panic(err) // only for a ring that is full
	}
	return next
}
