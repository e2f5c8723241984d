// Package apiserver runs a real Kubernetes API server on this machine's loopback: etcd, kube-apiserver and, if asked for,
// kube-controller-manager. There are no nodes: Pods stay pending, everything else is real.
//
//	s, err := apiserver.Start(ctx, apiserver.Options{Dir: t.TempDir()})
//	defer s.Stop()
//	c, err := client.New(s.Config(), client.Options{})
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Names of the components, as in logs and pidfiles.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"

	etcdPeer = "etcd-peer"
)

// startTimeout is how long each component may take to become ready.
const startTimeout = 60 * time.Second

// Options say where the server lives and what belongs to it. Either Dir or State is required.
type Options struct {
	// Dir holds everything: data, logs, credentials. A server started again in the same Dir has the same objects.
	Dir string

	// State is used instead of Dir, by a caller who keeps more in the same folder.
	State *state.Folder

	// Controllers starts kube-controller-manager: without it nothing is garbage collected, and namespaces never go.
	Controllers bool

	// Progress gets a line for each program that must be built first. Default: standard error.
	Progress io.Writer
}

// A Server is a running API server. Its methods may be called concurrently, except Stop.
type Server struct {
	state *state.Folder
	creds credentials
	port  int
	procs []*process.Process // In the order in which they were started.
}

// Start builds what is missing, starts the server and returns when it is ready. The processes die with this one.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	if o.State == nil {
		if o.Dir == "" {
			return nil, errors.New("cannot start API server: Dir is required")
		}
		f, err := state.Open(o.Dir)
		if err != nil {
			return nil, err
		}
		o.State = f
	}
	programs, err := binaries.Build(ctx, o.Progress, binaries.Etcd, binaries.KubeAPIServer, binaries.KubeControllerManager)
	if err != nil {
		return nil, err
	}
	s := &Server{state: o.State}
	if err := s.start(ctx, programs, o.Controllers); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Attach returns the server that runs in a state folder. Its Stop stops nothing.
func Attach(f *state.Folder) (*Server, error) {
	if _, err := f.Attach(APIServer); err != nil {
		return nil, fmt.Errorf("cannot reach API server: %w", err)
	}
	creds, err := loadCredentials(f)
	if err != nil {
		return nil, err
	}
	return &Server{state: f, creds: creds, port: f.KnownPort(APIServer)}, nil
}

func (s *Server) start(ctx context.Context, programs map[string]binaries.Program, controllers bool) (err error) {
	if s.port, err = s.state.Port(APIServer); err != nil {
		return err
	}
	if s.creds, err = loadCredentials(s.state); err != nil {
		return err
	}
	if err := writeKubeconfigs(s.state, s.creds, s.URL()); err != nil {
		return err
	}
	// Not one after the other: kube-apiserver spends its first second without etcd.
	if err := s.startEtcd(programs[binaries.Etcd].Path); err != nil {
		return err
	}
	if err := s.startAPIServer(programs[binaries.KubeAPIServer].Path); err != nil {
		return err
	}
	api := s.procs[len(s.procs)-1]
	if err := s.waitReady(ctx, api, s.URL()+"/readyz"); err != nil {
		return err
	}
	if !controllers {
		return nil
	}
	return s.startControllers(ctx, programs[binaries.KubeControllerManager].Path)
}

func (s *Server) run(component, program string, args ...string) (*process.Process, error) {
	p, err := process.Start(s.state.Spec(component, program, args...))
	if err != nil {
		return nil, err
	}
	s.procs = append(s.procs, p)
	return p, nil
}

func (s *Server) startEtcd(program string) error {
	port, err := s.state.Port(Etcd)
	if err != nil {
		return err
	}
	peer, err := s.state.Port(etcdPeer)
	if err != nil {
		return err
	}
	client, peers := "http://"+process.Loopback(port), "http://"+process.Loopback(peer)
	_, err = s.run(Etcd, program,
		"--name=local", "--data-dir="+s.state.Path("etcd"), "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=local="+peers,
		"--unsafe-no-fsync", // What it holds is thrown away with the state folder.
		// It is alone: nobody can win an election against it, so it need not wait for others.
		"--heartbeat-interval=50", "--election-timeout=250",
	)
	return err
}

func (s *Server) startAPIServer(program string) error {
	p := s.creds.paths
	_, err := s.run(APIServer, program,
		"--etcd-servers=http://"+process.Loopback(s.state.KnownPort(Etcd)),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.port),
		"--tls-cert-file="+p.serverCert, "--tls-private-key-file="+p.serverKey, "--cert-dir="+s.state.Path("pki"),
		"--token-auth-file="+p.tokens, "--authorization-mode=RBAC", "--anonymous-auth=false",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file="+p.serviceAccountKey, "--service-account-key-file="+p.serviceAccountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=false", "--profiling=false",
		// The kubernetes Service would name 127.0.0.1 as its endpoint, which is refused again and again, in the log.
		"--endpoint-reconciler-type=none",
	)
	return err
}

func (s *Server) startControllers(ctx context.Context, program string) error {
	port, err := s.state.Port(ControllerManager)
	if err != nil {
		return err
	}
	p, err := s.run(ControllerManager, program,
		"--kubeconfig="+s.state.Path("pki", controllersUser+".kubeconfig"), "--leader-elect=false",
		"--use-service-account-credentials", // Each controller has the rights of its own role, as in any cluster.
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+s.state.Path("pki"),
		"--service-account-private-key-file="+s.creds.paths.serviceAccountKey, "--root-ca-file="+s.creds.paths.ca,
		"--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,"+
			"serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--profiling=false",
	)
	if err != nil {
		return err
	}
	return s.waitReady(ctx, p, "https://"+process.Loopback(port)+"/healthz")
}

// waitReady waits until the URL answers with 200.
func (s *Server) waitReady(ctx context.Context, p *process.Process, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no good answer from %s after %s", url, startTimeout))
	defer cancel()
	return p.WaitReady(ctx, func(ctx context.Context) error { return Healthy(ctx, s.creds.client, url, s.creds.adminToken) })
}

// Healthy asks a health endpoint once.
func Healthy(ctx context.Context, c *http.Client, url, token string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}

// URL returns where the server is.
func (s *Server) URL() string { return "https://" + process.Loopback(s.port) }

// Kubeconfig returns the path of a kubeconfig for the administrator.
func (s *Server) Kubeconfig() string { return KubeconfigPath(s.state) }

// Config returns the administrator's client configuration, without a client-side rate limit worth mentioning. Each call
// returns a fresh copy.
func (s *Server) Config() *rest.Config {
	return &rest.Config{
		Host: s.URL(), BearerToken: s.creds.adminToken, QPS: 1000, Burst: 2000,
		TLSClientConfig: rest.TLSClientConfig{CAData: s.creds.caPEM},
	}
}

// Stop ends all components, in reverse order: a kube-apiserver whose etcd is gone hangs, and keeps its port. It is
// idempotent.
func (s *Server) Stop() error {
	var errs []error
	for i := len(s.procs) - 1; i >= 0; i-- {
		// kube-apiserver waits up to a minute for its watches. Its clients are ours, and gone.
		errs = append(errs, s.procs[i].Stop(2*time.Second))
	}
	return errors.Join(errs...)
}
