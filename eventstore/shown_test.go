package eventstore_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every exported name of this package and of those in its folders is shown in an example: they are the manual. What implements an
// interface of this package is shown where the interface is.
func TestEveryNameIsShown(t *testing.T) {
	here, shown := names(t, ".")
	everyNameIsShown(t, here, shown)
	err := fs.WalkDir(os.DirFS("."), ".", func(dir string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir() || dir == ".":
			return err
		case d.Name() == "internal" || d.Name() == "testdata":
			return fs.SkipDir
		}
		t.Run(dir, func(t *testing.T) {
			there, also := names(t, dir)
			maps.Copy(also, shown)
			everyNameIsShown(t, there, also)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func everyNameIsShown(t *testing.T, exported, shown map[string]bool) {
	t.Helper()
	for name := range exported {
		if !shown[name] {
			t.Errorf("%s is in no example", name)
		}
	}
}

// names returns the exported names of the package in a folder, and those that its examples use.
func names(t *testing.T, dir string) (exported, shown map[string]bool) {
	t.Helper()
	exported, shown = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			collect(f, exported)
			continue
		}
		whole := strings.HasPrefix(filepath.Base(path), "example") // With the types that examples have.
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); whole || ok && strings.HasPrefix(fn.Name.Name, "Example") {
				ast.Inspect(d, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						name, _, _ := strings.Cut(strings.TrimPrefix(id.Name, "Example"), "_") // ExampleAppender_errors is about Appender.
						shown[id.Name], shown[name] = true, true
					}
					return true
				})
			}
		}
	}
	for _, name := range []string{"Error", "Is", "String", "Format", "Begin", "QueryRow"} { // Of interfaces of others.
		delete(exported, name)
	}
	return exported, shown
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
