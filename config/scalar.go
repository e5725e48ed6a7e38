package config

import (
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/keyring"
)

// duration matches whatever time.ParseDuration takes, and what overflows there.
var duration = regexp.MustCompile(`^[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

// scalar reports whether s can be a value of type t; if not, that is a problem.
// The file, variables and flags all pass here.
func (c *collector) scalar(field string, t reflect.Type, s string) bool {
	switch {
	case t == durationType:
		if _, err := time.ParseDuration(s); err != nil {
			rule := "must be " + expected(t)
			if duration.MatchString(s) { // it is one, and too large for a time.Duration
				rule = "is out of range; no key takes more than " + keyring.MaxInterval.String()
			}
			c.reject(field, show(s), rule)
			return false
		}
	case t.Kind() == reflect.Bool:
		if _, err := strconv.ParseBool(s); err != nil {
			c.reject(field, show(s), "must be true or false")
			return false
		}
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		c.reject(field, "(not shown)", "must be printable text on one line"+pathHint(field))
		return false
	case strings.HasSuffix(field, "_file") && LooksSecret(s):
		c.reject(field, "(not shown)", "looks like a key"+pathHint(field))
		return false
	}
	return true
}

// LooksSecret reports whether s is what a KEK or PEM file holds rather than its
// path. A KEK is taken for one in hexadecimal too.
func LooksSecret(s string) bool {
	for _, text := range strings.Fields(s) { // a line may have a comment, and a file lines
		text = text[strings.LastIndexByte(text, ':')+1:]
		for _, decode := range []func(string) ([]byte, error){base64.StdEncoding.DecodeString, hex.DecodeString} {
			if key, err := decode(text); err == nil && len(key) == 32 {
				return true
			}
		}
	}
	return strings.Contains(s, "-----BEGIN")
}

func pathHint(field string) string {
	if !strings.HasSuffix(field, "_file") {
		return ""
	}
	return "; give the path of a file, not what it holds"
}

func secretHint(name string) string {
	name = strings.ToLower(name)
	for _, word := range []string{"kek", "key", "pass", "secret", "token"} {
		if strings.Contains(name, word) {
			return " (secrets come from files only)"
		}
	}
	return ""
}

func expected(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration with a unit, such as 15s, 30m or 12h (a day is 24h)"
	case t.Kind() == reflect.Bool:
		return "true or false, without quotes"
	case t.Kind() == reflect.Slice:
		return "a list: [a, b], or a line with a dash for each"
	case t.Kind() == reflect.Struct:
		return "keys with values below it"
	}
	return "text"
}

func scalarTag(t reflect.Type) string {
	switch {
	case t == durationType || t.Kind() == reflect.String:
		return "!!str"
	case t.Kind() == reflect.Bool:
		return "!!bool"
	}
	return "" // no scalar will do
}

// given shows a node of the wrong type.
func given(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		return plain(n.Value)
	}
	return show(n.Value)
}
