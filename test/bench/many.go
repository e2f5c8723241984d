package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// many applies n stores of one partition at once, each with a subscription afterwards for the first; then it deletes that
// subscription's group behind the provider's back, and looks whether it comes back and the others stay as they were.
func (b *bench) many(ctx context.Context, n int) ([]measure, error) {
	if n == 0 {
		return nil, nil
	}
	broker, err := b.redis(ctx)
	if err != nil {
		return nil, err
	}
	defer broker.Close()
	commands, err := processed(ctx, broker)
	if err != nil {
		return nil, err
	}
	ready, err := b.watchReady(ctx, n)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := parallel(n, func(i int) error { return b.kube.Create(ctx, b.store(fmt.Sprintf("many-%d", i), 1)) }); err != nil {
		return nil, err
	}
	applied := time.Since(began)
	if err := <-ready; err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := processed(ctx, broker)
	if err != nil {
		return nil, err
	}
	name := func(what string) string { return fmt.Sprintf("%d EventStores of 1 partition at once, %s", n, what) }
	measures := []measure{
		{name("applied"), "redis", seconds(applied), "s", ""},
		{name("all Ready"), "redis", seconds(took), "s", ""},
		{name("broker commands"), "redis", float64(after - commands), "commands", ""},
	}
	if rss, err := providerMemory(); err == nil {
		measures = append(measures, measure{name("provider memory"), "redis", rss, "MiB", ""})
	} else {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	repaired, err := b.repair(ctx, broker, n)
	return append(measures, repaired...), err
}

// repair deletes a consumer group and waits for its return.
func (b *bench) repair(ctx context.Context, broker *redis.Client, n int) ([]measure, error) {
	sub := &namespacedv1alpha1.Subscription{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "reader"}}
	sub.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: class}
	sub.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: "reader"}
	sub.Spec.ForProvider.EventStoreRef = &xpv2.NamespacedReference{Name: "many-0"}
	if _, err := b.ready(ctx, sub); err != nil {
		return nil, err
	}
	before, err := b.versions(ctx)
	if err != nil {
		return nil, err
	}
	events := layout.RedisEvents(b.namespace+".many-0", 0)
	if deleted, err := broker.XGroupDestroy(ctx, events, "reader").Result(); err != nil || deleted != 1 {
		return nil, fmt.Errorf("cannot delete the group: %d deleted, %w", deleted, err)
	}
	began := time.Now()
	err = until(ctx, "the deleted group is back", func() (bool, error) {
		groups, err := broker.XInfoGroups(ctx, events).Result()
		return len(groups) == 1, err
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := b.versions(ctx)
	if err != nil {
		return nil, err
	}
	disturbed := 0
	for name, version := range before {
		if after[name] != version {
			disturbed++
		}
	}
	return []measure{
		{fmt.Sprintf("group deleted out of band, repaired, beside %d stores", n), "redis", seconds(took), "s", "<= 15"},
		{fmt.Sprintf("of these %d stores, written to meanwhile", n), "redis", float64(disturbed), "stores", "0"},
	}, nil
}

// watchReady answers when n stores have become Ready. It watches, because listing a thousand stores again and again would
// take from the API server what is to be measured.
func (b *bench) watchReady(ctx context.Context, n int) (<-chan error, error) {
	w, err := b.kube.Watch(ctx, &namespacedv1alpha1.EventStoreList{}, client.InNamespace(b.namespace))
	if err != nil {
		return nil, err
	}
	answer := make(chan error, 1)
	go func() {
		defer w.Stop()
		ready := map[string]bool{}
		deadline, progress := time.After(patience), time.Tick(time.Second)
		for len(ready) < n {
			select {
			case e := <-w.ResultChan():
				s, ok := e.Object.(*namespacedv1alpha1.EventStore)
				if ok && strings.HasPrefix(s.GetName(), "many-") && s.GetCondition(xpv2.TypeReady).Status == corev1.ConditionTrue {
					ready[s.GetName()] = true
				}
			case <-progress:
				fmt.Fprintf(os.Stderr, "%d of %d stores are Ready\n", len(ready), n)
			case <-deadline:
				answer <- fmt.Errorf("%d of %d stores are Ready after %s", len(ready), n, patience)
				return
			case <-ctx.Done():
				answer <- context.Cause(ctx)
				return
			}
		}
		answer <- nil
	}()
	return answer, nil
}

// versions returns the resource versions of the stores.
func (b *bench) versions(ctx context.Context) (map[string]string, error) {
	l := &namespacedv1alpha1.EventStoreList{}
	if err := b.kube.List(ctx, l, client.InNamespace(b.namespace)); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, s := range l.Items {
		if strings.HasPrefix(s.GetName(), "many-") {
			versions[s.GetName()] = s.GetResourceVersion()
		}
	}
	return versions, nil
}

// redis returns a client with the rights of the provider, by the ClusterProviderConfig that the stores use.
func (b *bench) redis(ctx context.Context) (*redis.Client, error) {
	pc := &namespacedv1alpha1.ClusterProviderConfig{}
	if err := b.kube.Get(ctx, types.NamespacedName{Name: class}, pc); err != nil {
		return nil, err
	}
	ref := pc.Spec.Credentials.SecretRef
	s := &corev1.Secret{}
	if err := b.kube.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, s); err != nil {
		return nil, err
	}
	return redis.NewClient(&redis.Options{
		Addr: pc.Spec.Redis.Addresses[0], Username: pc.Spec.Redis.Username, Password: strings.TrimSpace(string(s.Data[ref.Key])),
	}), nil
}

// processed is how many commands the server has carried out.
func processed(ctx context.Context, c *redis.Client) (int64, error) {
	info, err := c.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(info["Stats"]["total_commands_processed"], 10, 64)
}

// providerMemory is the resident memory of the provider's process, in MiB.
func providerMemory() (float64, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, d := range dirs {
		cmdline, err := os.ReadFile("/proc/" + d.Name() + "/cmdline")
		if err != nil {
			continue
		}
		program, _, _ := strings.Cut(string(cmdline), "\x00")
		if !strings.Contains(program, "provider-eventstore") {
			continue
		}
		status, err := os.ReadFile("/proc/" + d.Name() + "/status")
		if err != nil {
			return 0, err
		}
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
		return math.Round(kib/102.4) / 10, err
	}
	return 0, errors.New("cannot find the provider's process, so its memory is not reported")
}

func seconds(d time.Duration) float64 { return math.Round(float64(d.Milliseconds())/10) / 100 }
