package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
)

// Functions returns packages of the functions that our Compositions use, built from the functions' own modules:
// function-patch-and-transform and function-auto-ready.
func (cp *ControlPlane) Functions(ctx context.Context) ([]Package, error) {
	var packages []Package
	for _, name := range []string{binaries.FunctionPatchAndTransform, binaries.FunctionAutoReady} {
		program := cp.programs[name]
		file := filepath.Join(filepath.Dir(program.Path), name+".xpkg") // Depends on the module only, as the program does.
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			cp.say("packaging %s", name)
			if err := buildOnce(ctx, cp.Crank(), image.Package{Root: program.DataDir, Program: program.Path}, file); err != nil {
				return nil, err
			}
		}
		packages = append(packages, Package{Kind: Function, Name: name, Version: program.Version, File: file})
	}
	return packages, nil
}

// buildOnce makes the file appear in one piece: other processes may look for it.
func buildOnce(ctx context.Context, crank string, p image.Package, file string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(file), "packaging-")
	if err != nil {
		return fmt.Errorf("cannot build package: %w", err)
	}
	defer os.RemoveAll(tmp)
	built := filepath.Join(tmp, filepath.Base(file))
	if err := p.Build(ctx, crank, built); err != nil {
		return err
	}
	return os.Rename(built, file)
}
