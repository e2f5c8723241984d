package broker

import (
	"testing"
)

func startPulsar(t *testing.T, o PulsarOptions) *Pulsar {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Pulsar")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	p, err := StartPulsar(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestPulsarAnswers(t *testing.T) {
	p := startPulsar(t, PulsarOptions{})
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
