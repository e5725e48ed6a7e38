// Package canary finds secrets in what was printed, for tests.
package canary

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Forms maps every way in which a printer may show the beginning of a secret
// to its name. A block cipher keeps its key as words.
func Forms(secrets ...[]byte) map[string]string {
	found := map[string]string{}
	for _, s := range secrets {
		p := s[:10]
		list := func(verb, sep string) string {
			var s []string
			for _, b := range p {
				s = append(s, fmt.Sprintf(verb, b))
			}
			return strings.Join(s, sep)
		}
		found[string(p)] = "raw"
		found[hex.EncodeToString(p)], found[list("%X", "")], found[list("%x", " ")] = "hex", "HEX", "spaced hex"
		found[base64.StdEncoding.EncodeToString(p[:9])] = "base64"
		found[base64.URLEncoding.EncodeToString(p[:9])] = "base64"
		found[list("%d", " ")], found[list("%d", ",")], found[list("%d", ", ")] = "decimals", "JSON decimals", "Go decimals"
		found[list("0x%x", ", ")], found[list("%o", " ")], found[list("%b", " ")] = "Go bytes", "octals", "bits"
		found[list("%q", " ")], found[list("%U", " ")], found[list("%c", " ")] = "quotes", "runes", "letters"
		for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
			a, b := order.Uint32(s), order.Uint32(s[4:])
			found[fmt.Sprintf("%d %d", a, b)], found[fmt.Sprintf("0x%x, 0x%x", a, b)] = "words", "Go words"
			found[fmt.Sprintf("%x %x", a, b)], found[fmt.Sprintf("%X %X", a, b)] = "hex words", "HEX words"
			found[fmt.Sprintf("%d,%d", a, b)] = "JSON words"
		}
	}
	return found
}

// Shown returns the form in which s shows any of the secrets, or "".
func Shown(s string, forms map[string]string) string {
	for text, form := range forms {
		if strings.Contains(s, text) {
			return form
		}
	}
	return ""
}
