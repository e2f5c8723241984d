package plane

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Memory is the resident memory of the provider's process. Unit: MiB.
func (p *Plane) Memory() (float64, error) {
	proc, err := p.o.Provider()
	if err != nil {
		return 0, err
	}
	b := proc.Memory()
	if b == 0 {
		return 0, fmt.Errorf("cannot read the memory of process %d: it has ended", proc.PID())
	}
	return float64(b) / (1 << 20), nil
}

// ticksPerSecond is the unit of times in /proc: it has been 100 on every Linux for long, whatever the kernel's own.
const ticksPerSecond = 100

// CPU is how long the provider's process has run on a processor since it started.
func (p *Plane) CPU() (time.Duration, error) {
	proc, err := p.o.Provider()
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(proc.PID()) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("cannot read the provider's CPU time: %w", err)
	}
	return parseStat(string(b))
}

// parseStat adds up fields 14 and 15 (user and system time) of proc(5). The second field is the program's name in
// parentheses, which may hold anything.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read the provider's CPU time from %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the provider's CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// RestartProvider ends the provider's process, and returns when another one serves: what is measured next owes nothing to
// what was measured before.
func (p *Plane) RestartProvider(ctx context.Context, patience time.Duration) error {
	old, err := p.o.Provider()
	if err != nil {
		return err
	}
	if err := old.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return Until(ctx, patience, "the provider is back", func(ctx context.Context) (bool, error) {
		now, err := p.o.Provider()
		if err != nil || now.PID() == old.PID() {
			return false, nil //nolint:nilerr // Until it is back.
		}
		c, err := p.ProviderCounters(ctx)
		// It serves metrics before it is the leader, and before its caches are filled.
		return err == nil && c.Sum("controller_runtime_reconcile_total", nil) > 0, nil
	})
}

// Provider returns the provider's process.
func (p *Plane) Provider() (*process.Process, error) { return p.o.Provider() }
