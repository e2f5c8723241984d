package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

//go:embed jars
var poms embed.FS

// A distribution is a broker as Maven Central has it: jars, named by a POM.
type distribution struct {
	name, size string
}

var (
	kafkaDistribution  = distribution{name: "kafka", size: "44 MB"}
	pulsarDistribution = distribution{name: "pulsar", size: "202 MB"}
)

// KafkaJars returns the class path of Apache Kafka, downloading it from Maven Central at the first call. It is kept with
// the programs of package binaries. It may be called concurrently, also by several processes.
func KafkaJars(ctx context.Context, progress io.Writer) (classpath string, err error) {
	return kafkaDistribution.fetch(ctx, progress)
}

// PulsarJars does for Apache Pulsar what KafkaJars does for Apache Kafka.
func PulsarJars(ctx context.Context, progress io.Writer) (classpath string, err error) {
	return pulsarDistribution.fetch(ctx, progress)
}

func (d distribution) fetch(ctx context.Context, progress io.Writer) (classpath string, err error) {
	root, err := binaries.RepositoryRoot()
	if err != nil {
		return "", err
	}
	digest, err := d.digest()
	if err != nil {
		return "", err
	}
	dir, err := binaries.Folder{
		Name: d.name + "-jars", Dir: binaries.ToolsDir(root), Digest: digest, Progress: progress, Fill: d.copyJars,
		Lock:  "maven", // Two of them at once would share Maven's own cache, which it does not guard.
		Doing: fmt.Sprintf("downloading %s from Maven Central (%s)", d.name, d.size), Done: "downloaded " + d.name,
	}.Make(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot download %s: %w", d.name, err)
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return "", fmt.Errorf("cannot list jars of %s: %w", d.name, err)
	}
	// By name and not as dir/*: where two jars have the same class, every machine takes the same one.
	return strings.Join(slices.Sorted(slices.Values(jars)), string(filepath.ListSeparator)), nil
}

func (d distribution) pom() string { return "jars/" + d.name + "/pom.xml" }

func (d distribution) digest() (string, error) {
	pom, err := poms.ReadFile(d.pom())
	if err != nil {
		return "", fmt.Errorf("cannot read POM of %s: %w", d.name, err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(pom))[:12], nil
}

// copyPlugin is the Maven plugin that copies what a POM depends on.
const copyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// copyJars fills dir with the jars that the POM names, and those that they need.
func (d distribution) copyJars(ctx context.Context, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("maven is not installed; on Debian: apt-get install maven, or make deps")
	}
	tmp, err := os.MkdirTemp("", "eventstore-pom-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{d.pom(), "jars/settings.xml"} {
		content, err := fs.ReadFile(poms, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, filepath.Base(name)), content, 0o600); err != nil {
			return err
		}
	}
	return runMaven(ctx, mvn, "--batch-mode", "--quiet", "--no-transfer-progress", "--strict-checksums",
		// Global, so that the user's own settings are read too, and win.
		"--global-settings", filepath.Join(tmp, "settings.xml"), "--file", filepath.Join(tmp, "pom.xml"),
		copyPlugin, "-DincludeScope=runtime", "-DoutputDirectory="+dir)
}

func runMaven(ctx context.Context, mvn string, args ...string) error {
	cmd := exec.CommandContext(ctx, mvn, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // mvn is a script: with its JVM.
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, out.String())
	}
	return nil
}
