package keyring

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/allocated"
)

// most is how many bytes a record may make Parse allocate, whatever it is.
const most = 4 << 20

// number encodes an unsigned integer as gob does.
func number(n uint64) []byte {
	if n <= 0x7f {
		return []byte{byte(n)}
	}
	b := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
	return append([]byte{byte(-len(b))}, b...)
}

// message frames a gob message.
func message(body ...[]byte) []byte {
	b := slices.Concat(body...)
	return append(number(uint64(len(b))), b...)
}

func signed(i int64) []byte { return number(uint64(i<<1) ^ uint64(i>>63)) }

// define is a type's definition.
func define(id int64, body ...[]byte) []byte {
	return message(signed(-id), slices.Concat(body...), []byte{0})
}

// defineStruct takes the fields' names and types in turn.
func defineStruct(id int64, fields ...any) []byte {
	body := [][]byte{{3, 2}, number(uint64(len(fields) / 2))}
	for i := 0; i < len(fields); i += 2 {
		name, of := fields[i].(string), fields[i+1].(int)
		body = append(body, []byte{1}, number(uint64(len(name))), []byte(name), []byte{1}, signed(int64(of)), []byte{0})
	}
	return define(id, append(body, []byte{0})...)
}

// forge takes from an honest gob the definitions of its types, and has them
// followed by a value of another making.
func forge(honest []byte, value ...[]byte) []byte {
	var defs []byte
	for rest := honest; ; {
		size, head := uint64(rest[0]), 1
		if rest[0] > 0x7f {
			head += -int(int8(rest[0]))
			var be [8]byte
			copy(be[9-head:], rest[1:head])
			size = binary.BigEndian.Uint64(be[:])
		}
		end := head + int(size)
		if end == len(rest) {
			id := rest[head:][:1]
			if id[0] > 0x7f {
				id = rest[head:][:1-int(int8(id[0]))]
			}
			return append(defs, message(append([][]byte{id}, value...)...)...)
		}
		defs, rest = append(defs, rest[:end]...), rest[end:]
	}
}

// extra is a value with a field that a record does not have.
type extra[T any] struct {
	Extra        T
	LastRotation time.Time
}

type endless []endless

// hostiles are gobs that promise more than they hold.
func hostiles(t testing.TB) map[string][]byte {
	honest := encode(t, knownRecord())
	field := func(i int) []byte { return number(uint64(i + 1)) }
	mapped := encode(t, extra[map[uint]uint]{map[uint]uint{1: 1}, base})
	structs := encode(t, extra[map[string]struct{ A []string }]{map[string]struct{ A []string }{"a": {}}, base})
	type key struct{ A int }
	hollow := encode(t, extra[map[key]key]{map[key]key{{}: {}}, base})
	var deep endless
	for range MaxRecord - 1000 {
		deep = endless{deep}
	}
	gob.Register(knownRecord())
	// A type's id beyond 32 bits is a value to who reads it as it is, and a
	// definition to the decoder.
	truncated := slices.Concat(
		defineStruct(65, "LastRotation", 67, "A", 66), define(67, []byte{5, 0}), defineStruct(68),
		message(signed(1<<32-66), []byte{4, 2}, signed(68), []byte{1}, signed(68), []byte{0, 0}),
		message(signed(65), []byte{2}, number(1<<62)),
	)
	// The decoder walks a chain of types for every field that begins it.
	var fields []any
	for range 3000 {
		fields = append(fields, "A", 67)
	}
	chain := slices.Concat(defineStruct(65, append(fields, "LastRotation", 66)...), define(66, []byte{5, 0}))
	for id := range int64(2000) {
		chain = append(chain, define(67+id, []byte{2, 2}, signed(68+id), []byte{0})...)
	}
	all := map[string][]byte{
		"a zero-length number":    {0x80},
		"a type's id cut off":     truncated,
		"types times fields":      chain,
		"a number of 127 bytes":   {0x81},
		"a message of 1 GB":       {0xfc, 0x3f, 0xff, 0xff, 0xff},
		"a message of 2^64-1":     append([]byte{0xf8}, bytes.Repeat([]byte{0xff}, 40)...),
		"a message of 2^63":       {0xf8, 0x80, 0, 0, 0, 0, 0, 0, 0, 1},
		"a message of nothing":    {0},
		"nothing but zeros":       make([]byte, MaxRecord),
		"nothing but ones":        bytes.Repeat([]byte{1}, MaxRecord),
		"a type of 2^24 fields":   message([]byte{0xff, 0x81, 3, 2}, number(1<<24)),
		"a type of no kind":       message([]byte{0xff, 0x81, 0}),
		"an undefined type":       message([]byte{0xff, 0x82, 1, 1}),
		"another type":            encode(t, "record"),
		"a map":                   encode(t, map[string]int{"Version": 1}),
		"a map for keys":          encode(t, struct{ Keys map[int]string }{map[int]string{0: "k"}}),
		"a map for a version":     encode(t, struct{ Version map[int]int }{map[int]int{0: 1}}),
		"structs for keys":        encode(t, struct{ Keys []struct{ Key []byte } }{make([]struct{ Key []byte }, 2)}),
		"short keys":              encode(t, struct{ Keys [][31]byte }{make([][31]byte, 2)}),
		"keys of slices":          encode(t, struct{ Keys [][]byte }{[][]byte{make([]byte, 32)}}),
		"ids of slices":           encode(t, struct{ IDs [][]string }{[][]string{{"a"}}}),
		"a record in a record":    encode(t, struct{ Version struct{ Version uint64 } }{struct{ Version uint64 }{1}}),
		"a record in an any":      encode(t, extra[any]{knownRecord(), base}),
		"slices without end":      encode(t, extra[endless]{deep, base}),
		"a time of 1 GB":          forge(honest, field(1), number(1<<30)),
		"a time of 1 byte":        forge(honest, field(1), number(1), []byte{1}),
		"an id of 1 GB":           forge(honest, field(8), number(1), number(1<<30)),
		"a field beyond the last": forge(honest, field(12), number(1)),
		"a field 2^63 on":         forge(honest, number(1<<63), number(1)),
		"an unended struct":       forge(honest, field(3), number(7)),
		"a map bomb":              forge(mapped, field(0), number(1<<30)),
		"a map without end":       forge(hollow, field(0), number(1<<62)),
		"a map bomb of structs":   forge(structs, field(0), number(1<<40), bytes.Repeat([]byte{0}, MaxRecord/2)),
	}
	for name, i := range map[string]int{"keys": 0, "ids": 8, "lives": 9, "creations": 10, "activations": 11} {
		for size, n := range map[string]uint64{"2^20": 1 << 20, "2^25": 1<<25 - 1, "2^63": 1 << 63, "2^64-1": 1<<64 - 1} {
			all[size+" "+name] = forge(honest, field(i), number(n))
			all[size+" "+name+", some of them"] = forge(honest, field(i), number(n), bytes.Repeat([]byte{0}, MaxRecord/2))
		}
	}
	return all
}

func TestHostile(t *testing.T) {
	all := hostiles(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name]
		if len(b) > MaxRecord {
			t.Fatalf("%s: %d bytes are too many to be looked at", name, len(b))
		}
		var r *Ring
		var err error
		n := allocated.By(func() { r, err = Parse(b) })
		if err == nil || !strings.HasPrefix(err.Error(), "keyring: ") {
			t.Errorf("%s: Parse(%d bytes) = %v, %v, want it refused", name, len(b), r, err)
		}
		limit := uint64(most)
		if strings.HasPrefix(name, "a message") { // refused before the decoder, which believes these too
			limit = 1 << 10
		}
		if n > limit {
			t.Errorf("%s: Parse(%d bytes) allocated %d bytes, want at most %d", name, len(b), n, limit)
		} else if testing.Verbose() {
			t.Logf("%-40s %9d bytes: %v", name, n, err)
		}
	}
}

// TestForge shows that forge makes records that are read as far as they are sound.
func TestForge(t *testing.T) {
	honest := encode(t, knownRecord())
	r, err := Parse(forge(honest, number(4), number(7), number(1), number(1), []byte{0}))
	if err == nil || !strings.Contains(err.Error(), "without keys") {
		t.Errorf("Parse of version 7, epoch 1 alone = %v, %v, want it refused for want of keys", r, err)
	}
}
