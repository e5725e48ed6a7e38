package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const envPrefix = "STEKRING_"

// serviceLink matches the variables that Kubernetes gives every container for a
// service of that name. They look like ours if a service is called stekring.
var serviceLink = regexp.MustCompile(`^(STEKRING(?:_[A-Z0-9_]+?)??)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

// environment binds the variables that are set. One that names no key is a
// problem, because a typo there would be silent; its value is never shown.
func (c *collector) environment(v *viper.Viper, known []key, environ []string) {
	byName := map[string]key{}
	for _, k := range known {
		byName[k.env()] = k
	}
	set := map[string]string{}
	var ours []string
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); strings.HasPrefix(name, envPrefix) {
			set[name], ours = value, append(ours, name)
		}
	}
	slices.Sort(ours)
	for _, name := range slices.Compact(ours) {
		k, ok := byName[name]
		switch {
		case ok && k.value.Type() == listenerType:
			c.add(0, "environment variable "+name, k.name+" can be set in the file only")
		case ok:
			c.over[k.name] = "environment variable " + name
			if c.scalar(k.name, k.value.Type(), set[name]) {
				_ = v.BindEnv(k.name, name) // fails only without a key
			}
		default:
			if m := serviceLink.FindStringSubmatch(name); m != nil {
				if _, ok := set[m[1]+"_SERVICE_HOST"]; ok {
					continue
				}
			}
			c.unknownVariable(name, known)
		}
	}
}

func (c *collector) unknownVariable(name string, known []key) {
	rest := strings.TrimPrefix(name, envPrefix)
	flat := make([]string, len(known))
	for i, k := range known {
		flat[i] = strings.ToLower(strings.TrimPrefix(k.env(), envPrefix))
	}
	hint := "; unset it"
	if i := slices.Index(flat, suggest(rest, flat)); i >= 0 {
		hint = fmt.Sprintf("; did you mean %s?", known[i].env())
		c.meant[known[i].name] = true
	}
	c.add(0, "environment variable "+plain(name), "names no key"+hint+secretHint(rest))
}

// flags binds the flags that were given.
func (c *collector) flags(v *viper.Viper, known []key, flags *pflag.FlagSet) {
	if flags == nil {
		return
	}
	for _, k := range known {
		f := flags.Lookup(k.flag())
		if f == nil || !f.Changed || k.value.Type() == listenerType {
			continue
		}
		c.over[k.name] = "flag --" + f.Name
		given := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			given = strings.Join(list.GetSlice(), ",")
		}
		if c.scalar(k.name, k.value.Type(), given) {
			_ = v.BindPFlag(k.name, f) // fails only without a flag
		}
	}
}

// Flags adds the flags that most commands have. Any other flag whose name is a
// key with dashes for dots and underscores overrides that key too.
func Flags(fs *pflag.FlagSet) {
	fs.String("ring", "", "name of the ring (key ring)")
	fs.String("node-id", "", "name of this node, else host name and a random suffix (key node_id)")
	fs.StringSlice("etcd-endpoints", nil, "etcd's URLs (key etcd.endpoints)")
	fs.String("log-level", "", "debug, info, warn or error (key log.level)")
	fs.String("log-format", "", "json or console (key log.format)")
	fs.String("http-address", "", "address of status page and metrics, empty for none (key http.address)")
}
