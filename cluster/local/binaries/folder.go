package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A Folder is made once and kept for all that want it: a program, a broker's jars.
type Folder struct {
	Name string // Of the folder, and of its lock.
	Dir  string // What it lies in: see ToolsDir.

	// Digest of everything that goes into it: another digest is another folder.
	Digest string

	// Doing and Done are what progress is told before and after, such as "building etcd" and "built etcd", and Note what more
	// there is to say before. What is there already is not mentioned.
	Doing, Done string
	Note        string
	Progress    io.Writer

	// Lock is the name of the lock. Folders with the same one are not made at the same time. Default: Name.
	Lock string

	// Fill makes the content of dir, which is empty and gets its name when Fill has returned.
	Fill func(ctx context.Context, dir string) error
}

// Make returns the path of the folder, and fills it first if it is not there. It may be called concurrently, also by
// several processes.
func (f Folder) Make(ctx context.Context) (string, error) {
	home := filepath.Join(f.Dir, f.Name+"-"+f.Digest)
	// The folder appears in one piece, by a rename: if it is there, it is whole.
	if exists(home) {
		return home, nil
	}
	name := f.Lock
	if name == "" {
		name = f.Name
	}
	unlock, err := lock(ctx, filepath.Join(f.Dir, name+".lock"), func() {
		fmt.Fprintf(f.Progress, "%s: waiting for its turn\n", f.Doing)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(home) {
		return home, nil
	}

	start := time.Now()
	fmt.Fprintln(f.Progress, strings.TrimSpace(f.Doing+" "+f.Note))
	defer Still(f.Progress, f.Doing)()
	tmp, err := os.MkdirTemp(f.Dir, f.Name+".building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := f.Fill(ctx, tmp); err != nil {
		return "", err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, home); err != nil {
		return "", err
	}
	fmt.Fprintf(f.Progress, "%s in %s\n", f.Done, time.Since(start).Round(100*time.Millisecond))
	return home, nil
}

// Still tells progress every minute that something is still being done, until stop is called.
func Still(progress io.Writer, doing string) (stop func()) {
	start := time.Now()
	tick := time.NewTicker(time.Minute)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(progress, "still %s, for %s\n", doing, time.Since(start).Round(time.Second))
			case <-done:
				return
			}
		}
	})
	return func() {
		tick.Stop()
		close(done)
		wg.Wait()
	}
}
