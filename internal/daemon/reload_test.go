package daemon

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
)

// TestNeedRestart changes each part of a configuration. A reload takes it over or
// names it.
func TestNeedRestart(t *testing.T) {
	taken := []string{"Rotation", "Seal", "Listeners", "Log", "Warnings"} // of Log the level
	parts := reflect.TypeFor[config.Config]()
	for i := range parts.NumField() {
		f := parts.Field(i)
		next := new(config.Config)
		v := reflect.ValueOf(next).Elem().Field(i)
		for v.Kind() == reflect.Struct {
			v = v.Field(0)
		}
		switch v.Kind() {
		case reflect.String:
			v.SetString("other")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int64:
			v.SetInt(1)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		if named := len(needRestart(config.Config{}, next)) == 1; named == slices.Contains(taken, f.Name) {
			t.Errorf("%s has changed: named as needing a restart = %v", f.Name, named)
		}
	}
}

// TestReloadKeepsTheLeaseBelowTheInterval is a file that is right by itself, for
// a node that runs with a longer lease than it says.
func TestReloadKeepsTheLeaseBelowTheInterval(t *testing.T) {
	next := &config.Config{Rotation: config.Rotation{Interval: 5 * time.Second}}
	if err := reload(next, Options{}, nil, nil, nil, 15*time.Second); err == nil || !strings.Contains(err.Error(), "election.ttl") {
		t.Errorf("reload = %v, want it refused for election.ttl", err)
	}
}
