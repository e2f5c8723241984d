package controlplane

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// adminConfig reads the kubeconfig of a state folder.
func adminConfig(f *state.Folder) (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", apiserver.KubeconfigPath(f))
	if err != nil {
		return nil, fmt.Errorf("cannot read kubeconfig: %w", err)
	}
	c.QPS, c.Burst = 1000, 2000
	return c, nil
}
