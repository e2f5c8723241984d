package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// checkDrivers runs the tests of the SDK's drivers, for longer than they are run otherwise: many operations of several
// processes while connections are cut and brokers killed, and then all of their suite again and again.
func checkDrivers(ctx context.Context, backends []string, o options) error {
	var packages []string
	for _, b := range backends {
		packages = append(packages, "./eventstore/"+b)
	}
	// One at a time, because each has a broker of its own.
	if o.operations > 0 {
		args := append([]string{"-p", "1", "-count", "1", "-timeout", "6h", "-v", "-run", "TestStore$/^Processes$"}, packages...)
		if err := goTest(ctx, append(args, "-storetest.operations="+strconv.Itoa(o.operations), fmt.Sprintf("-storetest.seed=%d", o.seed))); err != nil {
			return fmt.Errorf("%d operations of each driver: %w", o.operations, err)
		}
	}
	if o.repeats > 0 {
		// Every repeat has a seed of its own.
		args := append([]string{"-p", "1", "-count", strconv.Itoa(o.repeats), "-timeout", "12h", "-race", "-run", "TestStore$"}, packages...)
		if err := goTest(ctx, args); err != nil {
			return fmt.Errorf("%d repeats of each driver's suite: %w", o.repeats, err)
		}
	}
	return nil
}

// goTest prints what the tests print: seeds are in it.
func goTest(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
