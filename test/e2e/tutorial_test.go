package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// An instruction is a command of the tutorial, and what it should print. One that ends with "…" prints more.
type instruction struct {
	command string
	prints  []string
}

// instructions are the commands in the blocks of a page that show a console.
func instructions(t *testing.T, page string) (all []instruction) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	console := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			console = line == "```console"
		case console && isCommand:
			all = append(all, instruction{command: command})
		case console:
			last := &all[len(all)-1]
			last.prints = append(last.prints, line)
		}
	}
	return all
}

// TestTutorial follows docs/tutorial.md literally, but for what starts and stops the control plane, and for kubectl, whose part a
// client of the same API takes.
func TestTutorial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	claim := example(t, "tutorial/claim.yaml", "default")
	ours := map[string]func(){
		"make up": func() {},
		"export KUBECONFIG=$PWD/_output/local/kubeconfig":                           func() {},
		"kubectl apply -f examples/tutorial/claim.yaml":                             func() { create(t, claim) },
		"kubectl wait --for=condition=Ready eventstoreclaim/accounts --timeout=60s": func() { ready(t, claim) },
		"kubectl delete eventstoreclaim accounts --wait=false":                      func() { abandons(t, claim) },
		"go run ./cmd/esctl explain accounts":                                       func() {}, // It is gone: abandons has confirmed.
		"make down":                                                                 func() {},
	}
	for _, i := range instructions(t, "../../docs/tutorial.md") {
		if do, ok := ours[i.command]; ok {
			do()
			continue
		}
		if strings.HasPrefix(i.command, "kubectl") {
			t.Fatalf("nobody takes the part of kubectl in %q", i.command)
		}
		i.follow(t, dir)
	}
}

// follow runs a command in the project's root, and compares what it prints.
func (i instruction) follow(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(i.command, "/tmp/", dir+"/"))
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+world.Kubeconfig())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run has a child.
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want, more := i.prints, false
	if n := len(want); n > 0 && want[n-1] == "…" {
		want, more = want[:n-1], true
	}
	var got []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if got = append(got, lines.Text()); more && len(missing(want, got)) == 0 {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) // As the reader does who has seen enough.
			break
		}
	}
	err = cmd.Wait()
	if !more && err != nil {
		t.Fatalf("$ %s\n%v\n%s", i.command, err, strings.Join(got, "\n"))
	}
	switch {
	case more:
		if lines := missing(want, got); len(lines) > 0 {
			t.Fatalf("$ %s\nprints nothing like %q, but\n%s", i.command, lines, strings.Join(got, "\n"))
		}
		return
	case want == nil:
		return
	}
	if diff := cmp.Diff(comparable(want), comparable(got)); diff != "" {
		t.Fatalf("$ %s\n(-want, +got):\n%s", i.command, diff)
	}
}

var (
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	position = regexp.MustCompile(`\d+@\S+ +`)
)

// missing returns what of want is not among got.
func missing(want, got []string) []string {
	got = comparable(got)
	return slices.DeleteFunc(comparable(want), func(l string) bool { return slices.Contains(got, l) })
}

// comparable is what is the same each time, in an order that is.
func comparable(lines []string) []string {
	var all []string
	for _, l := range lines {
		all = append(all, position.ReplaceAllString(moment.ReplaceAllString(l, "TIME"), "POSITION "))
	}
	slices.Sort(all)
	return all
}

var confirmWith = regexp.MustCompile(`confirm with ([0-9a-f]{8})`)

// abandons deletes a claim, and confirms whatever that is refused for.
func abandons(t *testing.T, claim *unstructured.Unstructured) {
	t.Helper()
	if err := world.kube.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the claim is gone", func(ctx context.Context) (bool, string) {
		for _, u := range made(ctx, t, claim) {
			m := confirmWith.FindStringSubmatch(fmt.Sprint(u.Object["status"]))
			if a := u.GetAnnotations(); m != nil && a[v1alpha1.AnnotationConfirm] != m[1] {
				a[v1alpha1.AnnotationConfirm] = m[1]
				u.SetAnnotations(a)
				if err := world.kube.Update(ctx, &u); err != nil {
					return false, err.Error()
				}
			}
		}
		err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		return kerrors.IsNotFound(err), fmt.Sprint(claim.Object["status"])
	})
}
