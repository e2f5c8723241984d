package eventstore_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// Every exported name is shown in an example: they are the manual.
func TestEveryNameIsShown(t *testing.T) {
	exported, shown := map[string]bool{}, map[string]bool{}
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(name, "example"):
			ast.Inspect(f, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					name, _, _ := strings.Cut(strings.TrimPrefix(id.Name, "Example"), "_") // ExampleAppender_errors is about Appender.
					shown[id.Name], shown[name] = true, true
				}
				return true
			})
		case !strings.HasSuffix(name, "_test.go"):
			collect(f, exported)
		}
	}
	for _, name := range []string{"Error", "Is", "String", "Format"} { // Of interfaces of the standard library.
		delete(exported, name)
	}
	for name := range exported {
		if !shown[name] {
			t.Errorf("%s is in no example", name)
		}
	}
}

// collect adds the exported types, functions, methods, constants and variables of a file.
func collect(f *ast.File, names map[string]bool) {
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names[id.Name] = true
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || exportedReceiver(d.Recv.List[0].Type) {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					add(s.Name)
					if i, ok := s.Type.(*ast.InterfaceType); ok && s.Name.IsExported() {
						for _, m := range i.Methods.List {
							for _, id := range m.Names {
								add(id)
							}
						}
					}
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id)
					}
				}
			}
		}
	}
}

func exportedReceiver(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
