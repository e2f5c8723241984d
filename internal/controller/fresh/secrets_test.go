package fresh

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// creator is an API server that also creates, or refuses to.
type creator struct {
	*cache
	refuses error
}

func (c creator) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	if c.refuses == nil {
		o.SetResourceVersion("1")
	}
	return c.refuses
}

func TestOnce(t *testing.T) {
	name := types.NamespacedName{Namespace: "shop", Name: "orders"}
	mine := func() *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	}
	cases := map[string]struct {
		reason  string
		version string // Of the Secret; empty: there is none.
		refuses error
		do      func(ctx context.Context, c *Client) error
		want    int // Reads from the API server.
	}{
		"ReadTwice": {
			reason: "What the reconcile has read is not asked for again.", version: "7", want: 1,
			do: func(ctx context.Context, c *Client) error {
				return errors.Join(c.Get(ctx, name, mine()), c.Get(ctx, name, mine()))
			},
		},
		"AbsentThenCreated": {
			reason: "That there is none is known too, and so is what was created then.", want: 1,
			do: func(ctx context.Context, c *Client) error {
				for range 2 {
					if err := c.Get(ctx, name, mine()); !kerrors.IsNotFound(err) {
						return errors.New("there is one")
					}
				}
				s := mine()
				if err := c.Create(ctx, s); err != nil {
					return err
				}
				got := mine()
				if err := c.Get(ctx, name, got); err != nil || got.GetResourceVersion() != "1" {
					return errors.New("what was created is not known")
				}
				return nil
			},
		},
		"CreateRefused": {
			reason: "Somebody else was quicker: what was known is worth nothing.", want: 2, refuses: kerrors.NewAlreadyExists(corev1.Resource("secrets"), "orders"),
			do: func(ctx context.Context, c *Client) error {
				_ = c.Get(ctx, name, mine())
				if err := c.Create(ctx, mine()); err == nil {
					return errors.New("created")
				}
				_ = c.Get(ctx, name, mine())
				return nil
			},
		},
	}
	for n, tc := range cases {
		t.Run(n, func(t *testing.T) {
			api := &cache{version: tc.version}
			c := NewClient(creator{cache: api, refuses: tc.refuses})
			r := Once(reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
				return reconcile.Result{}, tc.do(ctx, c)
			}))
			for i := range 2 { // Nothing outlives a reconcile.
				if _, err := r.Reconcile(t.Context(), reconcile.Request{}); err != nil {
					t.Fatalf("%s\n%v", tc.reason, err)
				}
				if want := tc.want * (i + 1); api.reads != want {
					t.Errorf("%s\n%d reads after %d reconciles, want %d", tc.reason, api.reads, i+1, want)
				}
			}
		})
	}
}
