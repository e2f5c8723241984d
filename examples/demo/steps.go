package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// demo is one run of it, in a namespace of its own.
type demo struct {
	kube      client.Client
	namespace string
	claims    map[string]*unstructured.Unstructured
	figures   []figure
}

// A figure is one row of the summary.
type figure struct {
	what string
	took time.Duration
}

func newDemo(ctx context.Context, kubeconfig string) (*demo, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cannot find the control plane (run 'make up' first): %w", err)
	}
	cfg.QPS, cfg.Burst = 100, 200 // The default would round every time that is measured to 200 ms.
	scheme := clientgoscheme.Scheme
	if err := apis.AddToScheme(scheme); err != nil {
		return nil, err
	}
	kube, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	if err := kube.Create(ctx, ns); err != nil {
		return nil, fmt.Errorf("cannot reach the control plane (is it up?): %w", err)
	}
	return &demo{kube: kube, namespace: ns.GetName(), claims: map[string]*unstructured.Unstructured{}}, nil
}

func (d *demo) timed(what string, began time.Time) {
	took := time.Since(began)
	d.figures = append(d.figures, figure{what: what, took: took})
	fmt.Printf("   %s: %s\n", what, round(took))
}

// claim applies the examples, as kubectl would.
func (d *demo) claim(ctx context.Context) error {
	for _, name := range []string{"eventstore", "subscription"} {
		b, err := os.ReadFile(filepath.Join("examples", "claims", name+".yaml"))
		if err != nil {
			return fmt.Errorf("run this from the top of the repository: %w", err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(b, &u.Object); err != nil {
			return err
		}
		u.SetNamespace(d.namespace)
		unstructured.RemoveNestedField(u.Object, "spec", "filter") // The order service wants every event.
		d.claims[name] = u
		began := time.Now()
		if err := d.kube.Create(ctx, u); err != nil {
			return err
		}
		fmt.Printf("   %s %s/%s created\n", u.GetKind(), d.namespace, u.GetName())
		if err := d.ready(ctx, u); err != nil {
			return err
		}
		d.timed(u.GetKind()+" "+u.GetName()+" is Ready after", began)
	}
	return nil
}

// serve runs examples/orders with the Secrets in two folders, as the kubelet would mount them.
func (d *demo) serve(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bindings-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	args := []string{"run", "./examples/orders", "tour"}
	for name, flag := range map[string]string{"orders-events": "--binding", "billing-events": "--subscription-binding"} {
		if err := d.mount(ctx, name, filepath.Join(dir, name)); err != nil {
			return err
		}
		args = append(args, flag, filepath.Join(dir, name))
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println("   |", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the order service failed: %w", err)
	}
	fmt.Println()
	d.timed("the order service has compiled and run after", began)
	return nil
}

func (d *demo) mount(ctx context.Context, name, dir string) error {
	s := &corev1.Secret{}
	err := until(ctx, "the Secret "+name+" has arrived", func() (bool, error) {
		err := d.kube.Get(ctx, types.NamespacedName{Namespace: d.namespace, Name: name}, s)
		return err == nil && len(s.Data[layout.SecretPassword]) > 0, client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for key, value := range s.Data {
		if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// drift deletes a consumer group with the broker's own command, and waits for its return.
func (d *demo) drift(ctx context.Context) error {
	broker, err := d.redis(ctx)
	if err != nil {
		return err
	}
	defer broker.Close()
	events := ""
	position := func() (string, error) {
		groups, err := broker.XInfoGroups(ctx, events).Result()
		if err != nil || len(groups) == 0 {
			return "", err
		}
		return groups[0].LastDeliveredID, nil
	}
	for p := range layout.DefaultPartitions { // The order is in one of them.
		if events = layout.RedisEvents(d.store(), p); broker.XLen(ctx, events).Val() > 0 {
			break
		}
	}
	before, err := position()
	if err != nil {
		return err
	}
	// What the provider has not seen it cannot remember: a position is restored as it was when it last looked.
	if err := d.seen(ctx); err != nil {
		return err
	}
	fmt.Printf("   XGROUP DESTROY %s billing   (it had read up to %s)\n", events, before)
	if err := broker.XGroupDestroy(ctx, events, "billing").Err(); err != nil {
		return err
	}
	began := time.Now()
	err = until(ctx, "the group is back", func() (bool, error) {
		after, err := position()
		if after > before {
			return false, fmt.Errorf("the group is back at %s, beyond %s: events would be skipped", after, before)
		}
		return after != "", err
	})
	if err != nil {
		return err
	}
	after, err := position()
	if err != nil {
		return err
	}
	d.timed("back at "+after+", found and repaired after", began)
	return nil
}

// seen waits until the provider has looked at the store since the service wrote to it: within --drift-interval.
func (d *demo) seen(ctx context.Context) error {
	mg, err := d.composed(ctx)
	if err != nil {
		return err
	}
	return until(ctx, "the provider has seen the events", func() (bool, error) {
		err := d.kube.Get(ctx, client.ObjectKeyFromObject(mg), mg)
		n := mg.Status.AtProvider.Records
		return n != nil && *n > 0, err
	})
}

// remove deletes the claims, reads the refusal, and confirms.
func (d *demo) remove(ctx context.Context) error {
	subscription, store := d.claims["subscription"], d.claims["eventstore"]
	mg, err := d.composed(ctx)
	if err != nil {
		return err
	}
	if err := d.kube.Delete(ctx, subscription); err != nil {
		return err
	}
	if err := d.gone(ctx, subscription); err != nil {
		return err
	}
	if err := d.kube.Delete(ctx, store); err != nil {
		return err
	}
	message := ""
	err = until(ctx, "the store says why it stays", func() (bool, error) {
		err := d.kube.Get(ctx, client.ObjectKeyFromObject(mg), mg)
		accepted := mg.GetCondition(v1alpha1.TypeAccepted)
		message = accepted.Message
		return accepted.Reason == v1alpha1.ReasonNotEmpty, err
	})
	if err != nil {
		return err
	}
	fmt.Printf("   Accepted=False NotEmpty: %s\n", message)
	_, after, ok := strings.Cut(message, "confirm with ")
	if !ok || len(after) < 8 {
		return errors.New("the refusal names no token")
	}
	began := time.Now()
	fmt.Printf("   kubectl annotate eventstore.eventstore.crossplane.io %s %s=%s\n", mg.GetName(), v1alpha1.AnnotationConfirm, after[:8])
	before := mg.DeepCopy()
	mg.Annotations[v1alpha1.AnnotationConfirm] = after[:8]
	if err := d.kube.Patch(ctx, mg, client.MergeFrom(before)); err != nil {
		return err
	}
	if err := d.gone(ctx, store); err != nil {
		return err
	}
	d.timed("confirmed, and the store, its users and its claim are gone after", began)
	return d.kube.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: d.namespace}})
}

func (d *demo) summarize() {
	fmt.Print("\nWhat took how long:\n\n")
	for _, f := range d.figures {
		fmt.Printf("   %8s  %s\n", round(f.took), strings.TrimSuffix(f.what, " after"))
	}
	fmt.Print("\nThe control plane still runs: see 'go run ./cluster/local status'. 'make down' ends it.\n")
}

// store is the store's name on the broker.
func (d *demo) store() string { return d.namespace + "." + d.claims["eventstore"].GetName() }

// composed returns the EventStore that Crossplane composed for the claim.
func (d *demo) composed(ctx context.Context) (*clusterv1alpha1.EventStore, error) {
	l := &clusterv1alpha1.EventStoreList{}
	if err := d.kube.List(ctx, l); err != nil {
		return nil, err
	}
	for i := range l.Items {
		if l.Items[i].GetAnnotations()["crossplane.io/external-name"] == d.store() {
			return &l.Items[i], nil
		}
	}
	return nil, fmt.Errorf("no EventStore is named %s", d.store())
}

// redis returns a client with the provider's rights.
func (d *demo) redis(ctx context.Context) (*redis.Client, error) {
	pc := &clusterv1alpha1.ProviderConfig{}
	if err := d.kube.Get(ctx, types.NamespacedName{Name: "fast"}, pc); err != nil {
		return nil, err
	}
	ref := pc.Spec.Credentials.SecretRef
	s := &corev1.Secret{}
	if err := d.kube.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, s); err != nil {
		return nil, err
	}
	return redis.NewClient(&redis.Options{Addr: pc.Spec.Redis.Addresses[0], Username: pc.Spec.Redis.Username, Password: strings.TrimSpace(string(s.Data[ref.Key]))}), nil
}

func (d *demo) ready(ctx context.Context, u *unstructured.Unstructured) error {
	return until(ctx, u.GetKind()+" "+u.GetName()+" is Ready", func() (bool, error) {
		if err := d.kube.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return false, err
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == "Ready" && m["status"] == "True" {
				return true, nil
			}
		}
		return false, nil
	})
}

func (d *demo) gone(ctx context.Context, u *unstructured.Unstructured) error {
	return until(ctx, u.GetKind()+" "+u.GetName()+" is gone", func() (bool, error) {
		err := d.kube.Get(ctx, client.ObjectKeyFromObject(u), u)
		return kerrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// until asks until ok, and says what it was waiting for if that never comes.
func until(ctx context.Context, what string, ask func() (ok bool, err error)) error {
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		}
	}
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
