package daemon

import (
	"reflect"
	"slices"
	"testing"

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
