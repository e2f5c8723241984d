package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// checkDrivers runs the tests of the SDK's drivers, for longer than they are run otherwise: many operations of several
// processes while connections are cut and brokers killed, and then all of their suite again and again. One at a time, because each
// has a broker of its own.
func checkDrivers(ctx context.Context, backends []string, o options) error {
	if o.operations == 0 && o.repeats == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "soak-drivers-")
	if err != nil {
		return err
	}
	err = testDrivers(ctx, dir, backends, o)
	return errors.Join(err, os.RemoveAll(dir))
}

func testDrivers(ctx context.Context, dir string, backends []string, o options) error {
	if o.operations > 0 {
		fast := drivers{dir: filepath.Join(dir, "fast"), backends: backends}
		if err := fast.build(ctx); err != nil {
			return err
		}
		what := fmt.Sprintf("%d operations while things go wrong", o.operations)
		err := fast.run(ctx, what, "-test.v", "-test.timeout=6h", "-test.run=TestStore$/^Processes$",
			"-storetest.operations="+strconv.Itoa(o.operations), fmt.Sprintf("-storetest.seed=%d", o.seed))
		if err != nil {
			return err
		}
	}
	if o.repeats == 0 {
		return nil
	}
	strict := drivers{dir: filepath.Join(dir, "strict"), backends: backends}
	if err := strict.build(ctx, "-race"); err != nil {
		return err
	}
	for n := range o.repeats {
		seed := o.seed + uint64(n)
		what := fmt.Sprintf("its suite, %d of %d times, seed %d", n+1, o.repeats, seed)
		if err := strict.run(ctx, what, "-test.timeout=1h", "-test.run=TestStore$", fmt.Sprintf("-storetest.seed=%d", seed)); err != nil {
			return err
		}
	}
	return nil
}

// drivers are the tests of some drivers, as programs in a folder.
type drivers struct {
	dir      string
	backends []string
}

func (d drivers) build(ctx context.Context, flags ...string) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	args := append([]string{"test", "-c", "-o", d.dir + "/"}, flags...)
	for _, b := range d.backends {
		args = append(args, "./eventstore/"+b)
	}
	return show(exec.CommandContext(ctx, "go", args...))
}

// run runs each, and prints what they print: seeds are in it.
func (d drivers) run(ctx context.Context, what string, args ...string) error {
	for _, b := range d.backends {
		start := time.Now()
		cmd := exec.CommandContext(ctx, filepath.Join(d.dir, b+".test"), args...)
		cmd.Dir = filepath.Join("eventstore", b)
		if err := show(cmd); err != nil {
			return fmt.Errorf("driver %s, %s: %w", b, what, err)
		}
		fmt.Printf("driver %s, %s: as promised, after %s\n", b, what, time.Since(start).Round(time.Second))
	}
	return nil
}

func show(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
