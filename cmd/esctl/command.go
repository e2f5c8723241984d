package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/internal/explain"
	"github.com/crossplane-contrib/provider-eventstore/internal/version"
)

// newCommand returns the command that a binary of this name is.
func newCommand(binary string) *cobra.Command {
	name := "esctl"
	if filepath.Base(binary) == "kubectl-eventstore" {
		name = "kubectl eventstore"
	}
	c := &cobra.Command{
		Use: "esctl", Short: "Explain event stores, what would become of them, and what is in them. Nothing is changed.",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Version:     version.Version, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	k := bindKubeconfig(c)
	c.AddCommand(explainCommand(k), diffCommand(k), renderCommand(), bindCommand(k), tailCommand(k), replayCommand(k))
	return c
}

// A kubeconfig is where the API server is, by kubectl's rules and flags.
type kubeconfig struct{ clientcmd.ClientConfig }

func bindKubeconfig(c *cobra.Command) kubeconfig {
	rules, overrides := clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}
	c.PersistentFlags().StringVar(&rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "Path to the kubeconfig file. Default: $KUBECONFIG, or ~/.kube/config")
	clientcmd.BindOverrideFlags(overrides, c.PersistentFlags(), clientcmd.RecommendedConfigOverrideFlags(""))
	return kubeconfig{clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)}
}

// load returns how to reach the API server, and the namespace that is meant.
func (k kubeconfig) load() (config *rest.Config, namespace string, err error) {
	if config, err = k.ClientConfig.ClientConfig(); err != nil {
		return nil, "", err
	}
	config.QPS, config.Burst = 50, 100 // A few dozen objects are read one after the other.
	namespace, _, err = k.Namespace()
	return config, namespace, err
}

// find returns a client of the API server, and what a command's arguments name.
func (k kubeconfig) find(args []string) (client.Client, explain.Target, error) {
	config, namespace, err := k.load()
	if err != nil {
		return nil, explain.Target{}, err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, explain.Target{}, fmt.Errorf("cannot reach the API server: %w", err)
	}
	target, err := parseTarget(namespace, args)
	return c, target, err
}
