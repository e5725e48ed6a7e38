package config

import (
	"reflect"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	listenerType = reflect.TypeFor[[]Listener]()
)

// A key is one that the file, a variable or a flag can set.
type key struct {
	name  string // dotted
	value reflect.Value
}

// keys lists every key in the order of the struct, with its value in c. Because
// the struct is the only list of keys there is, nothing can be forgotten in
// another.
func keys(c Config) []key {
	var list []key
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			switch name := tag(v.Type().Field(i)); {
			case name == "-":
			case v.Field(i).Kind() == reflect.Struct:
				walk(v.Field(i), join(prefix, name))
			default:
				list = append(list, key{join(prefix, name), v.Field(i)})
			}
		}
	}
	walk(reflect.ValueOf(c), "")
	return list
}

func names(list []key) []string {
	var s []string
	for _, k := range list {
		s = append(s, k.name)
	}
	return s
}

func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

func (k key) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }

func tag(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// suggest returns the known name that was probably meant, or "".
func suggest(name string, known []string) string {
	name = strings.ToLower(name)
	if len(name) > maxShown {
		return ""
	}
	best, least := "", 2+len(name)/5
	for _, k := range known {
		d := distance(name, k)
		if strings.HasPrefix(k, name+"_") || strings.HasSuffix(k, "_"+name) || strings.HasSuffix(k, "."+name) {
			d = min(d, 1) // kek for kek_file, interval for rotation.interval
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be inserted, dropped or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
