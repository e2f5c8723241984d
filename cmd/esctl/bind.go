package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func bindCommand(k kubeconfig) *cobra.Command {
	to, which := "", choice{}
	c := &cobra.Command{
		Use:   "bind NAME | KIND/NAME | KIND NAME --to DIR",
		Short: "Write a connection Secret into a folder, as a pod has it mounted",
		Long: `Write a connection Secret into a folder, as a pod has it mounted: a service that runs on your machine opens it with
eventstore.Open(ctx, os.DirFS(DIR)). The files can be read by you alone; delete them when you need them no more. The folder must
be new, or empty.`,
		Example: `  esctl bind orders -n shop --to ./orders
  esctl bind orders -n shop --subscription billing --to ./billing`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return errors.New("--to is missing: name a folder")
			}
			r, target, err := k.find(args)
			if err != nil {
				return err
			}
			s, err := connectionSecret(cmd.Context(), r, target, which)
			if err != nil {
				return err
			}
			if err := writeFiles(s, to); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has the connection Secret of %s: %d files.\n", to, which.of(target.Name), len(s))
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "the folder")
	which.bind(c)
	return c
}

// writeFiles makes a file of each key.
func writeFiles(s eventstore.Secret, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(there) > 0 { // Keys of another Secret would be taken for this one's.
		return fmt.Errorf("folder %s is not empty: name another, or empty it", dir)
	}
	for key, value := range s {
		if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
			return err
		}
	}
	return nil
}
