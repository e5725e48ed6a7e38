package keyring

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// decode reads a gob of at most [MaxRecord] into a struct that has a stamp of
// the last rotation. Whatever the gob is, it allocates a few times its size at
// the most, and ends.
func decode(b []byte, into any) error {
	if len(b) > MaxRecord {
		return fmt.Errorf("keyring: a record of %d bytes: must be at most %d", len(b), MaxRecord)
	}
	if !sound(b) {
		return errors.New("keyring: a malformed record: types or lengths that no ring has")
	}
	// The decoder believes the length of a slice for 10 MiB before it reads an
	// element. Where it skips one it allocates nothing, and fails if the record
	// is too short for it. So all that it will allocate for is skipped first.
	for _, v := range []any{&struct{ LastRotation time.Time }{}, into} {
		in := bytes.NewReader(b)
		if err := gob.NewDecoder(in).Decode(v); err != nil {
			return fmt.Errorf("keyring: a malformed record: %w", err)
		}
		if in.Len() > 0 {
			return fmt.Errorf("keyring: %d bytes follow the record", in.Len())
		}
	}
	return nil
}

// A ring has 13 fields and half as many types. The decoder's work grows with the
// product of the two.
const maxTypes, maxFields = 32, 64

// sound walks the messages of a gob and the types that it defines. The decoder
// trusts their lengths, loops for as long as a map says, and descends as deep as
// types that contain themselves do. The encoding is that of encoding/gob's
// documentation.
func sound(b []byte) bool {
	w := walker{b: b, defined: map[int64]bool{}}
	for len(w.b) > 0 && !w.bad {
		size := w.uint()
		if size > uint64(len(w.b)) {
			return false
		}
		message := walker{b: w.b[:size], defined: w.defined}
		id := message.int()
		if id != int64(int32(id)) || len(w.defined) > maxTypes { // the decoder takes what is left of it in 32 bits
			return false
		}
		if id < 0 {
			w.defined[-id] = true
			message.definition()
			w.bad = message.bad || len(message.b) > 0
		}
		w.b = w.b[size:]
	}
	return !w.bad
}

type walker struct {
	b       []byte
	bad     bool
	defined map[int64]bool // types so far
}

func (w *walker) refuse() { w.bad, w.b = true, nil }

func (w *walker) uint() uint64 {
	if len(w.b) == 0 {
		w.refuse()
		return 0
	}
	first := w.b[0]
	w.b = w.b[1:]
	if first <= 0x7f {
		return uint64(first)
	}
	n := -int(int8(first)) // so many bytes follow
	if n > 8 || n > len(w.b) {
		w.refuse()
		return 0
	}
	var be [8]byte
	copy(be[8-n:], w.b[:n])
	w.b = w.b[n:]
	return binary.BigEndian.Uint64(be[:])
}

func (w *walker) int() int64 {
	u := w.uint()
	return int64(u>>1) ^ -int64(u&1)
}

// fields walks a struct whose fields are of these kinds.
func (w *walker) fields(kinds ...func()) {
	for at := uint64(0); ; {
		delta := w.uint()
		if delta == 0 {
			return
		}
		if at += delta; delta > uint64(len(kinds)) || at > uint64(len(kinds)) {
			w.refuse()
			return
		}
		kinds[at-1]()
	}
}

// definition walks what defines a type: the struct wireType of encoding/gob.
func (w *walker) definition() {
	number := func() { w.int() }
	text := func() {
		n := w.uint()
		if n > uint64(len(w.b)) {
			w.refuse()
			return
		}
		w.b = w.b[n:]
	}
	another := func() {
		const anything = 8 // brings definitions of its own
		if id := w.int(); id == anything || w.defined[id] {
			w.refuse()
		}
	}
	common := func() { w.fields(text, number) }
	members := func() {
		n := w.uint()
		if n > maxFields {
			w.refuse()
			return
		}
		for range n {
			if w.fields(text, another); w.bad {
				return
			}
		}
	}
	marshaler := func() { w.fields(common) }
	w.fields(
		func() { w.fields(common, another, number) }, // an array
		func() { w.fields(common, another) },         // a slice
		func() { w.fields(common, members) },         // a struct
		w.refuse,                                     // a map
		marshaler, marshaler, marshaler,
	)
}
