package seal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// TestZeroKEKIsNotPlaintext is a caller who forgot to read the KEK.
func TestZeroKEKIsNotPlaintext(t *testing.T) {
	ring := keyring.DefaultPolicy.First(1, 1, time.Now())
	if _, err := new(seal.KEK).Seal("/p", ring); err == nil {
		t.Error("a KEK without keys sealed a ring")
	}
	plain, err := seal.Plaintext().Seal("/p", ring)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(seal.KEK).Open("/p", plain); !errors.Is(err, seal.ErrForged) {
		t.Errorf("a KEK without keys opened a record in clear: %v", err)
	}
}
