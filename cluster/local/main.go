// Command local runs a whole control plane on this machine, without containers:
//
//	go run ./cluster/local up      # Start everything, install this repository's packages, wait until they are healthy.
//	go run ./cluster/local up --brokers redis,kafka,pulsar
//	go run ./cluster/local status  # What runs, on which port, how much memory it takes.
//	go run ./cluster/local logs crossplane -f
//	go run ./cluster/local reload  # Build our packages again and upgrade to them.
//	go run ./cluster/local down
//	go run ./cluster/local build   # Build our packages to _output/xpkg, and run nothing.
//
// Everything it writes is below its state folder, except the programs that it builds once, in _output/tools.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := kingpin.New("local", "A local control plane without containers: etcd, kube-apiserver, Crossplane, our packages and brokers.")
	app.HelpFlag.Short('h')
	commands := &commands{out: os.Stdout}
	commands.bind(app)
	command := kingpin.MustParse(app.Parse(os.Args[1:]))
	app.FatalIfError(commands.run(ctx, command), "")
}
