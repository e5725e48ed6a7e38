package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// syntaxLine finds the line in an error of the YAML library, which has no type
// for it.
var syntaxLine = regexp.MustCompile(`^(?:line (\d+): )?(.*)$`)

// yaml returns what the file sets, all of it with the types of Config. The node
// tree is walked rather than decoded because only it has lines and duplicates.
func (c *collector) yaml(data []byte) map[string]any {
	var doc, next yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		c.syntax(err)
		return nil
	}
	set := c.root(doc.Content[0])
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		c.syntax(err)
	default:
		c.add(next.Line, c.at(next.Line), "a second document: must be one; remove the --- and what follows, or merge the two")
	}
	return set
}

func (c *collector) root(n *yaml.Node) map[string]any {
	switch {
	case n.ShortTag() == "!!null":
		return nil
	case n.Kind != yaml.MappingNode:
		// What stands there is not shown: someone may have named the KEK file.
		c.add(n.Line, c.at(n.Line), "not a configuration: must be keys with values")
		c.bad[""] = true
		return nil
	}
	return c.mapping(n, reflect.TypeFor[Config](), "")
}

func (c *collector) syntax(err error) {
	m := syntaxLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	if m == nil {
		m = []string{"", "", "unreadable"}
	}
	line, _ := strconv.Atoi(m[1])
	c.add(line, c.at(line), "not YAML: "+m[2])
	c.bad[""] = true
}

// value returns what a node holds for a field of type t, or nil if it has a
// problem. Depth is bounded by the type, not by the file.
func (c *collector) value(n *yaml.Node, t reflect.Type, field string) any {
	switch {
	case n.Kind == yaml.AliasNode:
		c.reject(field, show("*"+n.Value), "aliases are not read; write the value out")
		return nil
	case n.ShortTag() == "!!null":
		c.reject(field, "null", "must be "+expected(t)+"; give a value or remove the key")
		return nil
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		return c.mapping(n, t, field)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		return c.sequence(n, t, field)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == scalarTag(t):
		if c.scalar(field, t, n.Value) {
			return n.Value
		}
		return nil
	}
	rule := "must be " + expected(t)
	if n.Kind == yaml.ScalarNode && t.Kind() == reflect.String {
		rule += "; put it in quotes" // a number, a date or a tag
	}
	c.reject(field, given(n), rule)
	return nil
}

func (c *collector) mapping(n *yaml.Node, t reflect.Type, field string) map[string]any {
	types := map[string]reflect.Type{}
	var siblings []string
	for i := range t.NumField() {
		if name := tag(t.Field(i)); name != "-" {
			types[name], siblings = t.Field(i).Type, append(siblings, name)
		}
	}
	set := map[string]any{}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		path := join(field, plain(k.Value))
		switch line, again := first[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			c.add(k.Line, c.at(k.Line), field, given(k)+" as a key: must be a name")
			continue
		case types[k.Value] == nil:
			c.unknown(k, field, siblings)
			continue
		case again:
			c.add(k.Line, c.at(k.Line), path, fmt.Sprintf("repeats the key of line %d; remove one of them", line))
			c.bad[path] = true
			continue
		}
		first[k.Value], c.lines[path] = k.Line, k.Line
		if v := c.value(v, types[k.Value], path); v != nil {
			set[k.Value] = v
		}
	}
	return set
}

// unknown reports a key that there is not. If the one that was meant is clear,
// that one is not reported as missing as well. The value is never shown: it may
// be a secret that belongs in a file.
func (c *collector) unknown(k *yaml.Node, field string, siblings []string) {
	if len(c.problems) >= maxProblems {
		c.add(k.Line) // it is only counted; looking for what was meant takes time
		return
	}
	hint := "; known here: " + strings.Join(siblings, ", ")
	meant := suggest(k.Value, siblings)
	if meant != "" {
		meant = join(field, meant)
	} else {
		meant = suggest(k.Value, names(keys(Config{})))
	}
	if meant != "" {
		c.meant[meant] = true
		hint = fmt.Sprintf("; did you mean %s?", meant)
	}
	c.add(k.Line, c.at(k.Line), join(field, plain(k.Value)), "unknown key"+hint+secretHint(k.Value))
}

// sequence keeps a place for every element, so that indexes mean the same
// everywhere.
func (c *collector) sequence(n *yaml.Node, t reflect.Type, field string) []any {
	list := []any{}
	for i, n := range n.Content {
		path := fmt.Sprintf("%s[%d]", field, i)
		c.lines[path] = n.Line
		v := c.value(n, t.Elem(), path)
		if v == nil {
			v = reflect.Zero(t.Elem()).Interface()
		}
		list = append(list, v)
	}
	return list
}
