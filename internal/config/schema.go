package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"sync"
)

// source is where the keys are explained: the comment beside each field is its
// only documentation, for readers of the code and for users alike.
//
//go:embed config.go
var source string

// Doc is what a key means, from the comment beside its field.
func Doc(key string) string { return docs()[key] }

// docs reads the comments of the structs.
var docs = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	f, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments)
	if err != nil {
		return out // a build with a broken config.go does not exist
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(f, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok {
			if s, ok := t.Type.(*ast.StructType); ok {
				structs[t.Name.Name] = s
			}
		}
		return true
	})
	var walk func(s *ast.StructType, prefix string)
	walk = func(s *ast.StructType, prefix string) {
		for _, fd := range s.Fields.List {
			key := prefix + reflect.StructTag(strings.Trim(fd.Tag.Value, "`")).Get("yaml")
			if id, ok := fd.Type.(*ast.Ident); ok && structs[id.Name] != nil {
				walk(structs[id.Name], key+".")
				continue
			}
			out[key] = strings.TrimSpace(fd.Comment.Text())
		}
	}
	walk(structs["Config"], "")
	return out
})

// Schema is the JSON Schema (draft 2020-12) of an experiment, for editors that
// speak the YAML language server's protocol.
func Schema() ([]byte, error) {
	c := Default()
	root := object()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "flops experiment"
	for _, f := range fields {
		at := root
		parts := strings.Split(f.key, ".")
		for _, p := range parts[:len(parts)-1] {
			props := at["properties"].(map[string]any)
			if props[p] == nil {
				props[p] = object()
			}
			at = props[p].(map[string]any)
		}
		v := reflect.ValueOf(c).FieldByIndex(f.path)
		at["properties"].(map[string]any)[parts[len(parts)-1]] = property(f, v)
	}
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	return append(b, '\n'), nil
}

func object() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
}

// property is the schema of one key.
func property(f field, v reflect.Value) map[string]any {
	p := map[string]any{"description": Doc(f.key)}
	one := func(t reflect.Type) map[string]any {
		m := map[string]any{}
		switch t.Kind() {
		case reflect.String:
			m["type"] = "string"
			if e := Enums[f.key]; e != nil {
				m["enum"] = e
			}
		case reflect.Bool:
			m["type"] = "boolean"
		case reflect.Int, reflect.Int64:
			m["type"] = "integer"
		default:
			m["type"] = "number"
		}
		return m
	}
	if f.typ.Kind() == reflect.Slice {
		p["type"], p["items"] = "array", one(f.typ.Elem())
		if v.Len() > 0 {
			p["default"] = v.Interface()
		}
		return p
	}
	for k, x := range one(f.typ) {
		p[k] = x
	}
	if b, ok := bounds[f.key]; ok {
		if b.open {
			p["exclusiveMinimum"] = b.lo
		} else {
			p["minimum"] = b.lo
		}
		p["maximum"] = b.hi
	}
	p["default"] = v.Interface()
	return p
}
