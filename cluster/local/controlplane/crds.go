package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

// installCRDs creates Crossplane's CRDs, all at once and as early as possible. Crossplane's init would create them one by
// one, and fail on the first object of a kind that is not served yet. It finds them there, and has nothing to change.
func (cp *ControlPlane) installCRDs(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(cp.programs[binaries.Crossplane].DataDir, "crds", "*.yaml"))
	if err != nil {
		return fmt.Errorf("cannot find Crossplane's CRDs: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, file := range files {
		g.Go(func() error {
			b, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("cannot read Crossplane's CRDs: %w", err)
			}
			return cp.ApplyYAML(ctx, b)
		})
	}
	return g.Wait()
}
