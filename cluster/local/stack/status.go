package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// A Component is one process of the stack.
type Component struct {
	Name    string
	PID     int // 0: it does not run.
	Port    int // 0: it has none.
	Health  string
	RSS     int64 // Bytes.
	LogFile string
}

// Status returns all components: those that should run, then providers and functions.
func Status(ctx context.Context, f *state.Folder) ([]Component, error) {
	started, err := f.Components()
	if err != nil {
		return nil, err
	}
	brokers, err := Brokers(f)
	if err != nil {
		return nil, err
	}
	names := startOrder(brokers)
	for _, c := range started {
		if !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	out := make([]Component, 0, len(names))
	for _, name := range names {
		c := Component{Name: name, Port: f.KnownPort(name), LogFile: f.LogFile(name)}
		if state.Named(name, "provider-eventstore") {
			c.Port = f.KnownPort(ProviderHealth)
		}
		p, err := f.Attach(name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			c.Health = "not running"
		case err != nil:
			return nil, err
		default:
			c.PID, c.RSS = p.PID(), p.Memory()
			c.Health = health(ctx, c.Port)
		}
		out = append(out, c)
	}
	return out, nil
}

// health says whether a component that runs also listens.
func health(ctx context.Context, port int) string {
	if port == 0 {
		return "running"
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", process.Loopback(port))
	if err != nil {
		return "running, does not listen"
	}
	_ = conn.Close()
	return "listening"
}

// WriteStatus writes a table of all components.
func WriteStatus(ctx context.Context, f *state.Folder, w io.Writer) error {
	components, err := Status(ctx, f)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "COMPONENT\tPID\tPORT\tHEALTH\tMEMORY")
	var total int64
	for _, c := range components {
		total += c.RSS
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Name, number(c.PID), number(c.Port), c.Health, mebibytes(c.RSS))
	}
	fmt.Fprintf(t, "\t\t\t\t%s\n", mebibytes(total))
	return t.Flush()
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func mebibytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
