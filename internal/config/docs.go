package config

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"sync"
)

// source is where the keys of the structs are explained: the comment beside each
// field, or above it where that is long, is its only documentation, for readers of
// the code and for users alike.
//
//go:embed config.go
var source string

// doc is what a key means: the comment beside its field, or what the
// implementations that it belongs to say of it.
func (f field) doc() string {
	if f.own != nil {
		return f.own.About()
	}
	return docs()[f.key]
}

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
			text := fd.Comment
			if text == nil {
				text = fd.Doc
			}
			out[key] = strings.Join(strings.Fields(text.Text()), " ")
		}
	}
	walk(structs["Config"], "")
	return out
})
