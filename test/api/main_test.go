// Package api_test checks what the API server itself refuses, and what it fills in: the schemas, rules and defaults of
// every kind, against a real kube-apiserver.
package api_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
)

// namespace is where the tests of namespaced kinds put their objects.
const namespace = "team-a"

// kube is a client of the API server that all tests of this package share.
var kube client.Client

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped with -short: these tests start a real API server")
		return 0, nil
	}
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "api-test-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := apiserver.Start(ctx, apiserver.Options{Dir: dir})
	if err != nil {
		return 0, fmt.Errorf("cannot start the API server: %w", err)
	}
	defer func() {
		if serr := s.Stop(); err == nil {
			err = serr
		}
	}()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, apis.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	if kube, err = client.New(s.Config(), client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if err := installAll(ctx); err != nil {
		return 0, err
	}
	for _, n := range []string{namespace, "shop", "crossplane-system"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}
		if err := kube.Create(ctx, ns); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}
