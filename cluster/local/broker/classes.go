package broker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

// trainGrace is how long a broker may take to stop when it writes its classes.
const trainGrace = 2 * time.Minute

// archived returns the flag that has a JVM map the classes of a broker instead of loading them, which takes a third off its
// start. The first call runs train, which starts the broker with a flag that writes the archive when it stops. Without an
// archive, which is not worth a failure, it returns a flag that changes nothing.
// Source: JEP 350, dynamic CDS archives.
func (d distribution) archived(ctx context.Context, progress io.Writer, jars string, train func(ctx context.Context, dir, flag string) error) (flag string, err error) {
	root, err := binaries.RepositoryRoot()
	if err != nil {
		return "", err
	}
	digest, err := archiveDigest(jars)
	if err != nil {
		return "", err
	}
	const archive = "classes.jsa"
	dir, err := binaries.Folder{
		Name: d.name + "-classes", Dir: binaries.ToolsDir(root), Digest: digest, Progress: progress,
		Doing: "preparing the classes of " + d.name, Done: "prepared the classes of " + d.name,
		Fill: func(ctx context.Context, dir string) error {
			run, err := os.MkdirTemp("", "eventstore-classes-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(run)
			return train(ctx, run, "-XX:ArchiveClassesAtExit="+filepath.Join(dir, archive))
		},
	}.Make(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot prepare the classes of %s: %w", d.name, err)
	}
	file := filepath.Join(dir, archive)
	if _, err := os.Stat(file); err == nil {
		return "-XX:SharedArchiveFile=" + file, nil
	}
	return "-Xshare:auto", nil
}

// archiveDigest names all that an archive depends on: another JVM would refuse it.
func archiveDigest(jars string) (string, error) {
	program, err := findJava()
	if err != nil {
		return "", err
	}
	program, err = filepath.EvalSymlinks(program)
	if err != nil {
		return "", fmt.Errorf("cannot find java: %w", err)
	}
	st, err := os.Stat(program)
	if err != nil {
		return "", fmt.Errorf("cannot find java: %w", err)
	}
	release, _ := os.ReadFile(filepath.Join(filepath.Dir(program), "..", "release")) // Not every distribution has it.
	h := sha256.New()
	fmt.Fprintln(h, jars, program, st.Size(), st.ModTime().UnixNano())
	h.Write(release)
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}
