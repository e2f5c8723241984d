// Command bench measures how fast stores and claims become Ready on the local control plane, and how a thousand stores
// fare. It prints a table, and writes it as JSON.
//
//	make bench-ready
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"text/tabwriter"
)

// A measure is one row of the table, and one entry of the JSON.
type measure struct {
	Measure string  `json:"measure"`
	Backend string  `json:"backend"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Goal    string  `json:"goal"` // Empty: reported only.
}

func main() {
	kubeconfig := flag.String("kubeconfig", "_output/local/kubeconfig", "the local control plane's")
	output := flag.String("output", "_output/bench/ready.json", "where the figures go")
	one := flag.Int("n", 50, "how many stores and claims are made one after the other")
	many := flag.Int("many", 1000, "how many stores are applied at once; 0 skips that")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	measures, err := run(ctx, *kubeconfig, *one, *many)
	print(measures)
	if err == nil {
		err = write(*output, measures)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
	fmt.Println("written to", *output)
}

func run(ctx context.Context, kubeconfig string, one, many int) ([]measure, error) {
	b, err := newBench(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var measures []measure
	for _, step := range []func(context.Context) ([]measure, error){
		func(ctx context.Context) ([]measure, error) { return b.floor(ctx, one) },
		func(ctx context.Context) ([]measure, error) { return b.stores(ctx, one) },
		func(ctx context.Context) ([]measure, error) { return b.claims(ctx, one) },
		func(ctx context.Context) ([]measure, error) { return b.many(ctx, many) },
	} {
		m, err := step(ctx)
		measures = append(measures, m...)
		if err != nil {
			return measures, err
		}
	}
	return measures, nil
}

func print(measures []measure) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MEASURE\tBACKEND\tVALUE\tUNIT\tGOAL")
	for _, m := range measures {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Measure, m.Backend, strconv.FormatFloat(m.Value, 'f', -1, 64), m.Unit, m.Goal)
	}
	_ = w.Flush() // To standard output.
}

func write(path string, measures []measure) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(measures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
