package broker

import (
	"testing"
)

func startKafka(t *testing.T, o KafkaOptions) *Kafka {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	k, err := StartKafka(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestKafkaAnswers(t *testing.T) {
	k := startKafka(t, KafkaOptions{})
	if err := k.Nodes[0].Ping(); err != nil {
		t.Error(err)
	}
}
