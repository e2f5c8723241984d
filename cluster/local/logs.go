package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

func (c *commands) logs(ctx context.Context, f *state.Folder) error {
	files, err := filepath.Glob(f.LogFile("*"))
	if err != nil {
		return fmt.Errorf("cannot find logs: %w", err)
	}
	var newest string
	var since time.Time
	for _, file := range files {
		component := strings.TrimSuffix(filepath.Base(file), ".log")
		if c.component == "" {
			fmt.Fprintln(c.out, component)
			continue
		}
		if !state.Named(component, c.component) {
			continue
		}
		st, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("cannot read log: %w", err)
		}
		if st.ModTime().After(since) { // Of several revisions, the one that wrote last.
			newest, since = file, st.ModTime()
		}
	}
	if c.component == "" {
		return nil
	}
	if newest == "" {
		return fmt.Errorf("cannot show log of %q: there is no such component; logs alone lists them", c.component)
	}
	fmt.Fprintln(c.out, process.Tail(newest, c.lines))
	if !c.follow {
		return nil
	}
	return follow(ctx, newest, c.out)
}

// follow writes what is appended to the file, until ctx ends.
func follow(ctx context.Context, file string, w io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("cannot follow log: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("cannot follow log: %w", err)
	}
	for {
		if _, err := io.Copy(w, f); err != nil {
			return fmt.Errorf("cannot follow log: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}
