// Package providerconfig resolves ProviderConfigs of all kinds into connections to brokers, counts who uses them, and
// reports whether their brokers are healthy.
package providerconfig

import (
	"context"
	"slices"
	"sync"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
)

// object is a ProviderConfig of any kind.
type object interface {
	resource.ProviderConfig
	// Connection is the spec, with a namespace in every reference to a Secret.
	Connection() v1alpha1.ProviderConfigSpec
	Observation() *v1alpha1.ProviderConfigStatus
}

// A Key names a ProviderConfig of any kind.
type Key struct {
	Kind Kind
	types.NamespacedName
}

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind.Name + " " + k.Name
	}
	return k.Kind.Name + " " + k.Namespace + "/" + k.Name
}

// A Kind of ProviderConfig.
type Kind struct{ Group, Name string }

// The kinds of ProviderConfig.
var (
	KindCluster           = Kind{Group: clusterv1alpha1.Group, Name: "ProviderConfig"}
	KindNamespaced        = Kind{Group: namespacedv1alpha1.Group, Name: "ProviderConfig"}
	KindNamespacedCluster = Kind{Group: namespacedv1alpha1.Group, Name: "ClusterProviderConfig"}
)

func (k Kind) object() object {
	switch k {
	case KindCluster:
		return &clusterv1alpha1.ProviderConfig{}
	case KindNamespacedCluster:
		return &namespacedv1alpha1.ClusterProviderConfig{}
	default:
		return &namespacedv1alpha1.ProviderConfig{}
	}
}

// KeyOf returns which ProviderConfig a resource uses.
func KeyOf(mg resource.Managed) (Key, error) {
	switch r := mg.(type) {
	case resource.ProviderConfigReferencer:
		if ref := r.GetProviderConfigReference(); ref != nil {
			return Key{Kind: KindCluster, NamespacedName: types.NamespacedName{Name: ref.Name}}, nil
		}
	case resource.TypedProviderConfigReferencer:
		ref := r.GetProviderConfigReference()
		switch {
		case ref == nil:
		case ref.Kind == KindNamespacedCluster.Name:
			return Key{Kind: KindNamespacedCluster, NamespacedName: types.NamespacedName{Name: ref.Name}}, nil
		default:
			return Key{Kind: KindNamespaced, NamespacedName: types.NamespacedName{Namespace: mg.GetNamespace(), Name: ref.Name}}, nil
		}
	}
	return Key{}, errors.New("no ProviderConfig is named: set spec.providerConfigRef")
}

// A Connection is how a resource reaches its broker.
type Connection struct {
	*mirror.Mirror
	Backend    v1alpha1.Backend
	Principals v1alpha1.PrincipalPolicy

	// Namespace is what the names of stores are bounded to: see [plan.Context].
	Namespace string
}

// A Resolver turns ProviderConfigs into connections, and remembers them, so that a reconcile reads no credentials.
// It may be used concurrently.
type Resolver struct {
	client  client.Client // Cached, for ProviderConfigs and for the versions of Secrets.
	secrets client.Reader // Not cached, for what Secrets hold.
	pool    *mirror.Pool
	log     logging.Logger

	mu       sync.Mutex
	resolved map[Key]*resolution
	failed   map[Key]bool // What could not be resolved when it was last tried: somebody waits for it in a backoff.
	onChange []func(Key)
	users    []func(Key) bool
}

// resolution is what became of one ProviderConfig.
type resolution struct {
	uid        types.UID
	generation int64
	secrets    map[types.NamespacedName]string // Versions of the Secrets that were read.

	unversioned bool // Files or variables were read too.
	digest      string
	config      broker.Config
	spec        v1alpha1.ProviderConfigSpec
	anyName     func(namespace string) bool
}

// NewResolver returns a resolver that takes mirrors from pool, ProviderConfigs from c and credentials from secrets.
func NewResolver(c client.Client, secrets client.Reader, pool *mirror.Pool, log logging.Logger) *Resolver {
	return &Resolver{client: c, secrets: secrets, pool: pool, log: log, resolved: map[Key]*resolution{}, failed: map[Key]bool{}}
}

// OnChange has fn called with each ProviderConfig that has become another, by new settings or rotated credentials, or
// that has become usable at all.
func (r *Resolver) OnChange(fn func(Key)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onChange = append(r.onChange, fn)
}

// UsedBy has fn asked whether anybody uses a ProviderConfig.
func (r *Resolver) UsedBy(fn func(Key) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users = append(r.users, fn)
}

// used reports whether anybody uses a ProviderConfig.
func (r *Resolver) used(key Key) bool {
	r.mu.Lock()
	users := slices.Clone(r.users)
	r.mu.Unlock()
	return slices.ContainsFunc(users, func(fn func(Key) bool) bool { return fn(key) })
}

// changed tells everybody that a ProviderConfig has become another.
func (r *Resolver) changed(key Key) {
	r.mu.Lock()
	listeners := slices.Clone(r.onChange)
	r.mu.Unlock()
	for _, fn := range listeners {
		fn(key)
	}
}

// Connect returns the connection of a resource. If credentials have gone while the resource is being deleted, as when a
// whole namespace is, the last ones that were known are used.
func (r *Resolver) Connect(ctx context.Context, mg resource.Managed) (*Connection, error) {
	key, err := KeyOf(mg)
	if err != nil {
		return nil, err
	}
	res, err := r.current(ctx, key)
	if err != nil && meta.WasDeleted(mg) {
		if last := r.last(key); last != nil {
			res, err = last, nil
		}
		if err != nil {
			err = errors.Wrap(err, "the credentials to delete this with are gone: restore them, or remove Delete from spec.managementPolicies, which leaves the data on the broker and is all that can be done in a namespace that is being deleted")
		}
	}
	if err != nil {
		return nil, err
	}
	m, err := r.pool.Get(res.config)
	if err != nil {
		return nil, errors.Wrapf(err, "cannot use %s", key)
	}
	c := &Connection{Mirror: m, Backend: res.spec.Backend(), Principals: res.spec.Principals, Namespace: mg.GetNamespace()}
	if res.anyName != nil && res.anyName(c.Namespace) {
		c.Namespace = ""
	}
	return c, nil
}

// current returns what is known of a ProviderConfig, or resolves it if that is out of date.
func (r *Resolver) current(ctx context.Context, key Key) (*resolution, error) {
	pc := key.Kind.object()
	if err := r.client.Get(ctx, key.NamespacedName, pc); err != nil {
		r.fail(key)
		if kerrors.IsNotFound(err) {
			return nil, errors.Errorf("%s does not exist: create it, or correct spec.providerConfigRef", key)
		}
		return nil, errors.Wrapf(err, "cannot read %s", key)
	}
	if last := r.last(key); last != nil && last.uid == pc.GetUID() && last.generation == pc.GetGeneration() {
		return last, nil
	}
	return r.resolve(ctx, key, pc)
}

func (r *Resolver) last(key Key) *resolution {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resolved[key]
}

// fail notes that a ProviderConfig could not be resolved.
func (r *Resolver) fail(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[key] = true
}

// resolve reads the credentials that pc names, and remembers the outcome. Those who use pc are told if it is news to them:
// if it is another than the last, or if there was none when they asked.
func (r *Resolver) resolve(ctx context.Context, key Key, pc object) (*resolution, error) {
	pc = pc.DeepCopyObject().(object) //nolint:forcetypeassert // A copy has the type of its original. What is resolved outlives the reconcile.
	spec := pc.Connection()
	reader := &credentialReader{ctx: ctx, secrets: r.secrets, log: r.log.WithValues("providerConfig", key.String()), versions: map[types.NamespacedName]string{}}
	config, err := reader.config(spec)
	if err != nil {
		r.fail(key)
		return nil, err
	}
	res := &resolution{uid: pc.GetUID(), generation: pc.GetGeneration(), secrets: reader.versions, unversioned: reader.unversioned, digest: config.Digest(), config: config, spec: spec}
	if c, ok := pc.(*namespacedv1alpha1.ClusterProviderConfig); ok {
		res.anyName = c.GrantsExternalNames
	}
	r.mu.Lock()
	last := r.resolved[key]
	news := r.failed[key] || last != nil && (last.digest != res.digest || last.uid != res.uid || last.generation != res.generation)
	r.resolved[key] = res
	delete(r.failed, key)
	r.mu.Unlock()
	if last != nil && last.digest != res.digest {
		r.pool.Retire(last.config)
	}
	if news {
		r.changed(key)
	}
	return res, nil
}

// stale reports whether any Secret that was read has another version now, or is gone.
func (r *Resolver) stale(ctx context.Context, res *resolution) (bool, error) {
	for name, version := range res.secrets {
		now, err := secretVersion(ctx, r.client, name)
		if err != nil {
			return false, err
		}
		if now != version {
			return true, nil
		}
	}
	return res.unversioned, nil
}

// forget drops what is known of a ProviderConfig that has been deleted.
func (r *Resolver) forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.resolved, key)
	delete(r.failed, key)
}

// uses reports whether the last resolution of key read the Secret, so that a change of the one concerns the other.
func (r *Resolver) uses(key Key, secret types.NamespacedName) bool {
	last := r.last(key)
	if last == nil {
		return true // It may be what was missing.
	}
	_, ok := last.secrets[secret]
	return ok
}
