package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/packages"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// commands are the flags of all commands, and what runs them.
type commands struct {
	out io.Writer

	state        string
	brokers      string
	activation   string
	providerArgs []string
	coreArgs     []string

	component string
	follow    bool
	lines     int

	keep bool

	xpkgs, version string
}

func (c *commands) bind(app *kingpin.Application) {
	app.Flag("state", "Where everything is kept. Default: _output/local in the repository.").StringVar(&c.state)

	up := app.Command("up", "Start everything and install this repository's packages. Does nothing if it runs already.")
	up.Flag("brokers", "Which brokers to start, separated by commas: redis, kafka, pulsar.").Default(stack.Redis).StringVar(&c.brokers)
	up.Flag("activation", "Which managed resources Crossplane activates by itself; '' for none.").Default("*").StringVar(&c.activation)
	up.Flag("provider-arg", "An argument for our provider, such as --debug. Repeatable.").StringsVar(&c.providerArgs)
	up.Flag("crossplane-arg", "An argument for Crossplane's core, such as --debug. Repeatable.").StringsVar(&c.coreArgs)

	reload := app.Command("reload", "Build our packages again and upgrade the running control plane to them.")
	reload.Flag("provider-arg", "An argument for our provider. Repeatable.").StringsVar(&c.providerArgs)

	app.Command("status", "Show what runs.")

	logs := app.Command("logs", "Show a component's log, or the names of the components.")
	logs.Arg("component", "A component, or the name of a package.").StringVar(&c.component)
	logs.Flag("follow", "Go on, as tail -f does.").Short('f').BoolVar(&c.follow)
	logs.Flag("lines", "How many lines from the end.").Short('n').Default("100").IntVar(&c.lines)

	down := app.Command("down", "Stop everything and delete the state folder.")
	down.Flag("keep", "Keep the state folder: the next up continues with the same objects and events.").BoolVar(&c.keep)

	build := app.Command("build", "Build our packages to _output/xpkg, and run nothing.")
	build.Flag("out", "The folder for the .xpkg files. Default: _output/xpkg in the repository.").StringVar(&c.xpkgs)
	build.Flag("package-version", "The version that our packages get.").Default(packages.DefaultVersion).StringVar(&c.version)

	app.Command("tools", "Build Kubernetes, etcd and Crossplane, and run nothing.")

	// Started by up, never by a person.
	app.Command(controlplane.Registry, "").Hidden()
	app.Command(controlplane.Runtime, "").Hidden()
}

func (c *commands) run(ctx context.Context, command string) error {
	if command != controlplane.Runtime { // Which logs; the others' clients have nothing to say.
		ctrllog.SetLogger(logr.Discard())
	}
	switch command {
	case "build":
		return c.build(ctx)
	case "tools":
		_, err := binaries.Build(ctx, c.out, binaries.All()...)
		return err
	}
	f, err := c.folder()
	if err != nil {
		return err
	}
	switch command {
	case "up":
		return c.up(ctx, f)
	case "reload":
		return c.reload(ctx, f)
	case "status":
		return stack.WriteStatus(ctx, f, c.out)
	case "logs":
		return c.logs(ctx, f)
	case "down":
		return c.down(f)
	case controlplane.Registry:
		return controlplane.ServeRegistry(ctx, f)
	case controlplane.Runtime:
		return controlplane.RunRuntime(ctx, f, os.Stderr)
	default:
		return fmt.Errorf("cannot run %q: no such command", command)
	}
}

func (c *commands) folder() (*state.Folder, error) {
	if c.state == "" {
		root, err := binaries.RepositoryRoot()
		if err != nil {
			return nil, err
		}
		c.state = filepath.Join(root, "_output", "local")
	}
	return state.Open(c.state)
}

func (c *commands) build(ctx context.Context) error {
	built, err := packages.Build(ctx, packages.Options{Out: c.xpkgs, Version: c.version, Progress: c.out})
	if err != nil {
		return err
	}
	for _, p := range built {
		fmt.Fprintf(c.out, "%s\n", p.File)
	}
	return nil
}
