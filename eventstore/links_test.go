package eventstore_test

import (
	"os/exec"
	"strings"
	"testing"
)

// An application links the client library of its broker alone, and nothing of Kubernetes unless that library does.
func TestDriversLinkOneClient(t *testing.T) {
	clients := map[string]string{
		"kafka": "github.com/twmb/franz-go", "pulsar": "github.com/apache/pulsar-client-go", "redis": "github.com/redis/go-redis",
	}
	for driver := range clients {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+driver).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for pkg := range strings.Lines(string(out)) {
			for other, client := range clients {
				if other != driver && strings.HasPrefix(pkg, client) {
					t.Errorf("driver %s links %s", driver, strings.TrimSpace(pkg))
				}
			}
			if driver != "pulsar" && strings.HasPrefix(pkg, "k8s.io/") {
				t.Errorf("driver %s links %s", driver, strings.TrimSpace(pkg))
			}
		}
	}
}
