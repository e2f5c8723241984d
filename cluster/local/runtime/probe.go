package runtime

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	// notReadyPeriod is how often a process is asked that is not ready yet. Kubelet would wait for periodSeconds.
	notReadyPeriod = 100 * time.Millisecond

	// defaultProbePeriod is Kubernetes' default.
	defaultProbePeriod = 10 * time.Second
)

// A probe asks a process whether it is ready. The zero value takes its word for it, and is never asked again.
type probe struct {
	url    string
	period time.Duration
}

// probeOf returns the readiness probe of the package's container, if it is one by HTTP with a numeric port.
func probeOf(spec corev1.PodSpec) probe {
	c, err := packageContainer(spec)
	if err != nil || c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet == nil || c.ReadinessProbe.HTTPGet.Port.IntValue() == 0 {
		return probe{}
	}
	get := c.ReadinessProbe.HTTPGet
	p := probe{
		url:    "http://" + process.Loopback(get.Port.IntValue()) + get.Path,
		period: time.Duration(c.ReadinessProbe.PeriodSeconds) * time.Second,
	}
	if p.period == 0 {
		p.period = defaultProbePeriod
	}
	return p
}

func (p probe) ask(ctx context.Context) error {
	if p.url == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answered %s", p.url, res.Status)
	}
	return nil
}
