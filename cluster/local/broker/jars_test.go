package broker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

func needMaven(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Maven")
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		t.Skip("maven is not installed")
	}
}

func TestJarsAreDownloadedOnce(t *testing.T) {
	needMaven(t)
	t.Setenv(binaries.ToolsDirVariable, t.TempDir())
	logs, paths := make([]strings.Builder, 3), make([]string, 3)
	var wg sync.WaitGroup
	for i := range logs {
		wg.Go(func() {
			var err error
			if paths[i], err = KafkaJars(t.Context(), &logs[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	downloads := 0
	for i := range logs {
		downloads += strings.Count(logs[i].String(), "downloaded kafka")
		if paths[i] != paths[0] || !strings.Contains(paths[i], "kafka-clients-") {
			t.Errorf("class path %d is %q, want the same jars for all", i, paths[i])
		}
	}
	if downloads != 1 {
		t.Errorf("three calls at once downloaded %d times, want once", downloads)
	}
}

// TestJarsComeFromTheUsersMirror keeps Maven's own folder out of it: there nothing is cached.
func TestJarsComeFromTheUsersMirror(t *testing.T) {
	needMaven(t)
	var asked atomic.Int64
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.NotFound(w, r)
	}))
	t.Cleanup(mirror.Close)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".m2"), 0o755); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("<settings><mirrors><mirror><id>ours</id><mirrorOf>*</mirrorOf><url>%s</url></mirror></mirrors></settings>", mirror.URL)
	if err := os.WriteFile(filepath.Join(home, ".m2", "settings.xml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAVEN_OPTS", "-Duser.home="+home)
	if err := kafkaDistribution.copyJars(t.Context(), t.TempDir()); err == nil {
		t.Error("jars came from elsewhere")
	}
	if asked.Load() == 0 {
		t.Error("the user's mirror was not asked")
	}
}
