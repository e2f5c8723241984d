// Demo shows the whole path on the local control plane, with what an application team and an operator would do by hand:
// a claim becomes a store, a service uses it, somebody deletes a consumer group and the provider repairs it, and the store
// refuses to be deleted until that is confirmed. It ends with a summary of what took how long.
//
//	make demo
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "_output/local/kubeconfig", "the local control plane's")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

func run(ctx context.Context, kubeconfig string) error {
	d, err := newDemo(ctx, kubeconfig)
	if err != nil {
		return err
	}
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"An application team submits two claims: a store and a subscription. They name a class, and no broker", d.claim},
		{"The order service opens the Secrets that arrived, and runs", d.serve},
		{"Somebody deletes the subscription's consumer group on Redis. The provider puts it back where it was", d.drift},
		{"The team deletes its claim. The store holds events, so it stays and says why, until that is confirmed", d.remove},
	}
	for i, step := range steps {
		fmt.Printf("\n%d. %s.\n\n", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	d.summarize()
	return nil
}
