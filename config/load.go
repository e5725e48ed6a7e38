package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const maxFile = 1 << 20

// Load reads a configuration. No file is fine if variables and flags say what
// must be said, and no flags are fine too. dev is for a node on its own: it
// needs no etcd, no KEK and no certificates. Load opens no other file than the
// one it is given. An error is an [*Error], which names every problem there is.
func Load(file string, flags *pflag.FlagSet, dev bool) (*Config, error) {
	var data []byte
	if file != "" {
		var err error
		if data, err = ReadFile(file, maxFile); err != nil {
			return nil, &Error{Problems: []string{file + ": " + err.Error()}}
		}
	}
	return parse(file, data, os.Environ(), flags, dev)
}

func parse(file string, data []byte, environ []string, flags *pflag.FlagSet, dev bool) (*Config, error) {
	l := newCollector(file)
	v := viper.New()
	v.AllowEmptyEnv(true)
	known := keys(defaults(dev))
	for _, k := range known {
		v.SetDefault(k.name, k.value.Interface())
	}
	if err := v.MergeConfigMap(l.yaml(data)); err != nil {
		return nil, err
	}
	l.environment(v, known, environ)
	l.flags(v, known, flags)

	var c Config
	err := v.UnmarshalExact(&c, func(d *mapstructure.DecoderConfig) {
		d.TagName = "yaml"
	}, viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		mapstructure.StringToTimeDurationHookFunc(), splitList)))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	(&checker{collector: l, cfg: &c, dev: dev}).all()
	if err := l.err(); err != nil {
		return nil, err
	}
	return &c, nil
}

// splitList is viper's own comma rule, but forgives the space after a comma.
func splitList(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to != reflect.TypeFor[[]string]() {
		return data, nil
	}
	list := []string{}
	for s := range strings.SplitSeq(data.(string), ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list, nil
}
