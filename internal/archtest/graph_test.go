package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pkg is one package of this module, tests left out: tests may import anything.
type pkg struct {
	Path    string              // import path
	Main    bool                // package main
	Imports []string            // what its files import
	Deps    []string            // that and all behind it
	Files   map[string][]string // file name → its imports
}

// module is what the rules look at.
type module struct {
	Path     string
	Packages []pkg
	Replaced []string // modules that go.mod replaces
}

// load reads the module at root with go list.
func load(root string) (module, error) {
	if err := touch(root); err != nil {
		return module{}, err
	}
	m, err := loadModFile(root)
	if err != nil {
		return module{}, err
	}
	out, err := goCommand(root, "list", "-json=ImportPath,Name,Dir,GoFiles,Imports,Deps", "./...")
	if err != nil {
		return module{}, err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p, err := decodePackage(dec)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return module{}, err
		}
		m.Packages = append(m.Packages, p)
	}
}

// touch opens all that the graph depends on: go test keeps a result until a file
// that the test itself opened changes, and does not see what go list reads.
func touch(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") || d.Name() == "go.mod" {
			_, err = os.ReadFile(path)
		}
		return err
	})
}

// loadModFile reads the module's path and its replacements.
func loadModFile(root string) (module, error) {
	out, err := goCommand(root, "mod", "edit", "-json")
	if err != nil {
		return module{}, err
	}
	var file struct {
		Module  struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(out, &file); err != nil {
		return module{}, fmt.Errorf("read go.mod: %w", err)
	}
	m := module{Path: file.Module.Path}
	for _, r := range file.Replace {
		m.Replaced = append(m.Replaced, r.Old.Path)
	}
	return m, nil
}

// decodePackage reads the next package of go list's output.
func decodePackage(dec *json.Decoder) (pkg, error) {
	var listed struct {
		ImportPath, Name, Dir  string
		GoFiles, Imports, Deps []string
	}
	if err := dec.Decode(&listed); err != nil {
		return pkg{}, err
	}
	p := pkg{Path: listed.ImportPath, Main: listed.Name == "main", Imports: listed.Imports, Deps: listed.Deps}
	p.Files = make(map[string][]string, len(listed.GoFiles))
	for _, name := range listed.GoFiles {
		imports, err := fileImports(filepath.Join(listed.Dir, name))
		if err != nil {
			return pkg{}, err
		}
		p.Files[name] = imports
	}
	return p, nil
}

// fileImports parses the imports of one Go file.
func fileImports(path string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, path)
	}
	slices.Sort(imports)
	return imports, nil
}

// goCommand runs the go tool in dir and returns what it printed.
func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}
