package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/internal/explain"
)

func explainCommand(k kubeconfig) *cobra.Command {
	var orphans bool
	c := &cobra.Command{
		Use:   "explain NAME | KIND/NAME | KIND NAME",
		Short: "Say why a claim, composite resource, store or subscription is not as it should be",
		Long: `Say why a claim, composite resource, store or subscription is not as it should be: the cause and what to do first, then
everything that has a part in it. A name without a kind is looked for as a claim first.

Exit codes: 0 all is well, 1 a cause was found, 2 esctl itself failed.`,
		Example: `  esctl explain orders -n shop
  esctl explain appeventstore/orders -n shop
  esctl explain eventstore.eventstore.m.crossplane.io/orders -n shop
  esctl explain --orphans`,
		Args: func(_ *cobra.Command, args []string) error {
			if orphans != (len(args) == 0) || len(args) > 2 {
				return errors.New("name what to explain, as in explain orders or explain eventstoreclaim/orders; or use --orphans alone")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			config, namespace, err := k.load()
			if err != nil {
				return err
			}
			r, err := client.New(config, client.Options{})
			if err != nil {
				return fmt.Errorf("cannot reach the API server: %w", err)
			}
			if orphans {
				return explainOrphans(cmd, r)
			}
			target, err := parseTarget(namespace, args)
			if err != nil {
				return err
			}
			tree, err := explain.Gather(cmd.Context(), r, target)
			if err != nil {
				return err
			}
			return print(cmd.OutOrStdout(), tree)
		},
	}
	c.Flags().BoolVarP(&orphans, "orphans", "A", false, "all stores and subscriptions, of all namespaces, whose claim does not exist any more")
	return c
}

// parseTarget reads what kubectl would take for a name.
func parseTarget(namespace string, args []string) (explain.Target, error) {
	word, name, ok := strings.Cut(strings.Join(args, "/"), "/")
	if !ok {
		return explain.Target{Kinds: explain.Kinds, Namespace: namespace, Name: word}, nil
	}
	kinds := explain.KindsOf(word)
	if len(kinds) == 0 || name == "" || strings.Contains(name, "/") {
		return explain.Target{}, fmt.Errorf("cannot explain %q: name a claim, a composite resource, an EventStore or a Subscription, as in eventstoreclaim/orders", strings.Join(args, " "))
	}
	return explain.Target{Kinds: kinds, Namespace: namespace, Name: name}, nil
}

func print(w io.Writer, t explain.Tree) error {
	causes := explain.Diagnose(t)
	if err := explain.Render(w, t, causes); err != nil {
		return err
	}
	if len(causes) > 0 {
		return errFound
	}
	return nil
}

func explainOrphans(cmd *cobra.Command, r client.Reader) error {
	trees, err := explain.Orphans(cmd.Context(), r)
	if err != nil {
		return err
	}
	if len(trees) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "Every store and subscription that was made for a claim still has it.")
		return nil
	}
	for i, t := range trees {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		if err := print(cmd.OutOrStdout(), t); err != nil && !errors.Is(err, errFound) {
			return err
		}
	}
	return errFound
}
