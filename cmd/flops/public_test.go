package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
)

// public are the packages that others import.
var public = []string{"alloc", "forward", "noise"}

// allowed are what they may import beside the standard library.
var allowed = []string{"golang.org/x/sys/cpu", "github.com/flops-vit/flops/alloc", "github.com/flops-vit/flops/noise",
	"github.com/flops-vit/flops/noise/isa"}

// TestPublicPackages: they import little, document every exported name, export no
// single letter, and name no key of a config in what they say.
func TestPublicPackages(t *testing.T) {
	section := regexp.MustCompile(`\b(model|data|sites|estimator|allocator|budget|optimizer|objective|train|` +
		`checkpoint)\.[a-z_]+`)
	if !slices.Contains(config.Choices("allocator.name"), "neyman") || !section.MatchString("allocator.name: neyman") {
		t.Fatal("the pattern of keys finds none")
	}
	for _, dir := range public {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				if strings.Contains(path, ".") && !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", name, path)
				}
			}
			exported(f, func(n *ast.Ident, doc bool) {
				if len(n.Name) == 1 {
					t.Errorf("%s: %s is one letter", set.Position(n.Pos()), n.Name)
				}
				if !doc {
					t.Errorf("%s: %s is not documented", set.Position(n.Pos()), n.Name)
				}
			})
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && section.MatchString(l.Value) {
					t.Errorf("%s: %s names a key", set.Position(l.Pos()), l.Value)
				}
				return true
			})
		}
	}
}

// exported visits the exported names of a file, fields and methods too, and says
// whether each is documented. Names that stand together share what is said of them.
func exported(f *ast.File, visit func(n *ast.Ident, documented bool)) {
	each := func(names []*ast.Ident, docs ...*ast.CommentGroup) {
		said := slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil })
		for _, n := range names {
			if n.IsExported() {
				visit(n, said)
			}
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || outside(d.Recv.List[0].Type) {
				each([]*ast.Ident{d.Name}, d.Doc)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					each(s.Names, d.Doc, s.Doc, s.Comment)
				case *ast.TypeSpec:
					each([]*ast.Ident{s.Name}, d.Doc, s.Doc)
					if x, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
						for _, field := range x.Fields.List {
							each(field.Names, field.Doc, field.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
}

// outside says whether the type of a method's receiver is exported.
func outside(e ast.Expr) bool {
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	n, ok := e.(*ast.Ident)
	return ok && n.IsExported()
}
