package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// javaStartTimeout is how long a broker that runs on Java may take until it answers, when ctx has no deadline of its own. A
// machine that does nothing else takes a fiftieth of it, as long as there are no thousands of partitions.
const javaStartTimeout = 4 * time.Minute

// javaGrace is how long such a broker may take to stop before it is killed: longer than its own shutdown takes with
// thousands of partitions, which it would have to recover afterwards.
const javaGrace = time.Minute

// A jvm is what all Java programs of a broker have in common.
type jvm struct {
	program   string
	classpath string
	heap      string // Maximum, such as 256m.
	dir       string // For what it writes beside its data: logging configuration, temporary files.
	flags     []string
}

func newJVM(classpath, heap, dir string, flags ...string) (jvm, error) {
	program, err := findJava()
	if err != nil {
		return jvm{}, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return jvm{}, fmt.Errorf("cannot create folder for temporary files: %w", err)
	}
	j := jvm{program: program, classpath: classpath, heap: heap, dir: dir, flags: flags}
	if err := writeFile(j.logConfig(), []byte(log4jConfig)); err != nil {
		return jvm{}, err
	}
	return j, nil
}

func findJava() (string, error) {
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	program, err := exec.LookPath(program)
	if err != nil {
		return "", errors.New("java is not installed; on Debian: apt-get install default-jre-headless, or make deps")
	}
	return program, nil
}

func (j jvm) logConfig() string { return filepath.Join(j.dir, "log4j2.xml") }

// log4jConfig writes warnings to standard output, which process.Spec.LogFile gets.
const log4jConfig = `<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %-5p %c{1} - %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
`

// args are the arguments that run a main class.
func (j jvm) args(main string, args ...string) []string {
	return slices.Concat([]string{
		// A broker that lives for a test is faster with the simple compiler and collector, and takes half the memory.
		"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Xms64m", "-Xmx" + j.heap, "-XX:-UsePerfData",
		"-XX:+ExitOnOutOfMemoryError", // Instead of answering some requests and not others.
		"-Djava.net.preferIPv4Stack=true",
		"-Djava.io.tmpdir=" + filepath.Join(j.dir, "tmp"), // Native libraries, which a kill leaves behind.
		"-Dlog4j2.configurationFile=" + j.logConfig(),
	}, j.flags, []string{main}, args)
}

// env holds the class path: as an argument it would make process listings unreadable.
func (j jvm) env() []string { return []string{"CLASSPATH=" + j.classpath} }

// run starts a main class and returns when it is ready.
func (j jvm) run(ctx context.Context, spec process.Spec, ready func(context.Context) error, main string, args ...string) (*process.Process, error) {
	spec.Path, spec.Args, spec.Env, spec.Dir = j.program, j.args(main, args...), j.env(), j.dir
	p, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, javaStartTimeout, fmt.Errorf("no answer after %s", javaStartTimeout))
		defer cancel()
	}
	if err := p.WaitReady(ctx, ready); err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("%w\n%s", err, exception(spec.LogFile))
	}
	return p, nil
}

// exception returns the last line of a log that says why something was thrown: it ends with a stack trace.
func exception(log string) string {
	last := ""
	for line := range strings.Lines(process.Tail(log, 1000)) {
		if strings.HasPrefix(line, "Caused by: ") || strings.Contains(line, "Exception: ") && last == "" {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

// stop stops a process that may be frozen, or was never started.
func stop(p *process.Process, grace time.Duration) error {
	if p == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	return p.Stop(grace)
}

// portTaken reports whether a broker did not start because of one of its ports: between the moment when it was free and the
// start of a JVM, another process may have taken it.
func portTaken(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Address already in use")
}
