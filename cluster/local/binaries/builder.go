package binaries

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A builder builds one program.
type builder struct {
	name     string
	tool     tool
	src, dir string
	progress io.Writer
	step     string
}

func (b builder) build(ctx context.Context) (Program, error) {
	digest, err := b.digest()
	if err != nil {
		return Program{}, err
	}
	home, err := Folder{
		Name: b.name, Dir: b.dir, Digest: digest, Progress: b.progress, Fill: b.fill,
		Doing: "building " + b.name, Done: "built " + b.name,
		Note: fmt.Sprintf("(%s; up to %s on two cores if nothing of it is cached)", b.step, b.tool.expected),
	}.Make(ctx)
	if err != nil {
		return Program{}, err
	}
	p := Program{Path: filepath.Join(home, b.name), Version: b.tool.version}
	if b.tool.data != "" {
		p.DataDir = filepath.Join(home, b.tool.data)
	}
	return p, nil
}

// digest names a build by all that goes into it.
func (b builder) digest() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, b.tool.pkg, b.tool.ldflags, b.tool.data)
	for _, f := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(b.src, f))
		if err != nil {
			return "", err
		}
		h.Write(content)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

func (b builder) fill(ctx context.Context, dir string) error {
	flags := strings.TrimSpace("-s -w " + b.tool.ldflags)
	if _, err := b.goTool(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", filepath.Join(dir, b.name), b.tool.pkg); err != nil {
		return err
	}
	if b.tool.data == "" {
		return nil
	}
	module, err := b.goTool(ctx, "list", "-m", "-f", "{{.Dir}}", b.tool.dataOf)
	if err != nil {
		return err
	}
	from := filepath.Join(strings.TrimSpace(module), b.tool.data)
	return os.CopyFS(filepath.Join(dir, b.tool.data), os.DirFS(from))
}

func (b builder) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.src
	// Without cgo the programs are static. A workspace or a -mod flag of the caller is not meant for these modules.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // With its compilers.
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.String())
	}
	return stdout.String(), nil
}

// lock takes an exclusive lock on a file. It calls waiting once if somebody else holds it.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for said := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // Closing releases the lock, as does the end of the process.
		}
		if !said {
			waiting()
			said = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func lines(s string) []string {
	out := strings.Split(s, "\n")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}
