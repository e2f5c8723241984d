// Package state is the folder that a local control plane lives in: where each component keeps its data, log and pidfile,
// and which port it has. Nothing is written outside of it.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// A Folder is a state folder. It may be used concurrently, also by several processes.
type Folder struct {
	dir string

	// Detached: processes outlive the one that starts them.
	Detached bool

	mu    sync.Mutex
	ports map[string]int
}

// Open makes the folder if it is not there. The path may be relative.
func Open(dir string) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open state folder: %w", err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("cannot open state folder: %w", err)
	}
	f := &Folder{dir: abs, ports: map[string]int{}}
	unlock, err := f.reload()
	if err != nil {
		return nil, err
	}
	unlock()
	return f, nil
}

// reload reads what other processes have written, and keeps them from writing until unlock is called: the package runtime
// chooses ports too.
func (f *Folder) reload() (unlock func(), err error) {
	lock, err := os.OpenFile(f.portsFile()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock ports: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock ports: %w", err), lock.Close())
	}
	b, err := os.ReadFile(f.portsFile())
	if err == nil {
		err = json.Unmarshal(b, &f.ports)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("cannot read ports: %w", err), lock.Close())
	}
	return func() { _ = lock.Close() }, nil // Closing releases the lock.
}

// Path joins elem to the folder's absolute path.
func (f *Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{f.dir}, elem...)...)
}

func (f *Folder) portsFile() string { return f.Path("ports.json") }

// LogFile returns where the component logs.
func (f *Folder) LogFile(component string) string { return f.Path("logs", component+".log") }

// PIDFile returns where the component's process id is.
func (f *Folder) PIDFile(component string) string { return f.Path("pids", component+".pid") }

// Spec returns what process.Start needs to run a program as a component of this folder.
func (f *Folder) Spec(component, program string, args ...string) process.Spec {
	return process.Spec{
		Name: component, Path: program, Args: args, Dir: f.dir,
		LogFile: f.LogFile(component), PIDFile: f.PIDFile(component), Mark: f.dir, Detached: f.Detached,
	}
}

// Attach returns the component's process if it runs, else an error that wraps os.ErrNotExist.
func (f *Folder) Attach(component string) (*process.Process, error) {
	return process.Attach(f.Spec(component, component))
}

// Find returns the running process of a component. Those of packages are called after a revision, such as
// crossplane-contrib-provider-eventstore-0dea8bbc9e99, and found by the package's name alone. The error wraps
// os.ErrNotExist if none runs.
func (f *Folder) Find(name string) (*process.Process, error) {
	components, err := f.Components()
	if err != nil {
		return nil, err
	}
	var found []*process.Process
	for _, c := range components {
		if !Named(c, name) {
			continue
		}
		p, err := f.Attach(c)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("cannot find a running component %q: %w", name, os.ErrNotExist)
	case 1:
		return found[0], nil
	default:
		return nil, fmt.Errorf("cannot find component %q: %d of that name run", name, len(found))
	}
}

var revisionName = regexp.MustCompile(`^(?:.*-)?(provider|function)-.*-[0-9a-f]{12}$`)

// Named reports whether a component goes by that name: its own, or the name of the package whose revision it is.
func Named(component, name string) bool {
	if component == name {
		return true
	}
	if !revisionName.MatchString(component) {
		return false
	}
	pkg := component[:strings.LastIndex(component, "-")]
	return pkg == name || strings.HasSuffix(pkg, "-"+name)
}

// Components returns the names of all components that have a pidfile, sorted.
func (f *Folder) Components() ([]string, error) {
	files, err := filepath.Glob(f.PIDFile("*"))
	if err != nil {
		return nil, fmt.Errorf("cannot list components: %w", err)
	}
	for i, file := range files {
		name := filepath.Base(file)
		files[i] = name[:len(name)-len(".pid")]
	}
	return slices.Sorted(slices.Values(files)), nil
}

// Port returns the component's port: a free one at the first call, and the same ever after, as long as nobody else has
// taken it. Call it before the component starts, or KnownPort.
func (f *Folder) Port(component string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := f.reload()
	if err != nil {
		return 0, err
	}
	defer unlock()
	if p, ok := f.ports[component]; ok && free(p) {
		return p, nil
	}
	for {
		p, err := process.FreePorts(1)
		if err != nil {
			return 0, err
		}
		// A component that has a port but does not listen yet must not lose it to another.
		if slices.Contains(slices.Collect(maps.Values(f.ports)), p[0]) {
			continue
		}
		f.ports[component] = p[0]
		return p[0], f.save()
	}
}

// Lock keeps other processes from starting or stopping what is in the folder, until unlock is called. It fails at once if
// another does so already.
func (f *Folder) Lock() (unlock func(), err error) {
	lock, err := os.OpenFile(f.Path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock state folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("cannot lock state folder %s: another up, reload or down is under way", f.dir)
	}
	return func() { _ = lock.Close() }, nil
}

// Remove deletes the folder with all that is in it.
func (f *Folder) Remove() error {
	if err := os.RemoveAll(f.dir); err != nil {
		return fmt.Errorf("cannot delete state folder: %w", err)
	}
	return nil
}

// KnownPort returns the component's port, or 0 if it has none.
func (f *Folder) KnownPort(component string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ports[component]
}

func (f *Folder) save() error {
	b, err := json.MarshalIndent(f.ports, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode ports: %w", err)
	}
	tmp := f.portsFile() + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write ports: %w", err)
	}
	return os.Rename(tmp, f.portsFile())
}

func free(port int) bool {
	l, err := net.Listen("tcp", process.Loopback(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
