package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func TestRedrive(t *testing.T) {
	errBroken := errors.New("no connection")
	cases := map[string]struct {
		reason  string
		fails   string // Events that fail, one letter and one digit each.
		stopAt  string // The event with which ctx ends.
		broken  string // The event that cannot be settled.
		want    []string
		handled int
		err     string
	}{
		"All":     {reason: "Each is handled and gone.", want: []string{"-a1", "-b1", "-a2"}, handled: 3},
		"Fails":   {reason: "What is behind it in its stream follows it untried.", fails: "a1", want: []string{"+a1 after 4: told to fail", "-b1", "+a2 after 3: old"}, handled: 1, err: "1 of them failed again, first event a1 of s/a: told to fail"},
		"Both":    {reason: "The first is told.", fails: "a1 b1", want: []string{"+a1 after 4: told to fail", "+b1 after 4: told to fail", "+a2 after 3: old"}, err: "2 of them failed again, first event a1"},
		"Panics":  {reason: "That is a failure.", fails: "a2!", want: []string{"-a1", "-b1", "+a2 after 4: handler panicked: told to panic"}, handled: 2, err: "handler panicked"},
		"Stopped": {reason: "What was handled is settled; no other begins.", stopAt: "a1", want: []string{"-a1"}, handled: 1, err: "context canceled"},
		"Told":    {reason: "A handler that ends because it was told to has not failed.", stopAt: "b1", fails: "b1", want: []string{"-a1"}, handled: 1, err: "context canceled"},
		"Broken":  {reason: "It ends, as the next may not be removed before this one.", broken: "b1", want: []string{"-a1"}, handled: 2, err: "cannot note what became of event b1 of s/b, which will come again: no connection"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var got []string
			settle := func(ctx context.Context, id, what string) error {
				if ctx.Err() != nil {
					t.Errorf("%s is settled in a context that has ended", id)
				}
				if id == tc.broken {
					return errBroken
				}
				got = append(got, what)
				return nil
			}
			letters := func(yield func(Letter, error) bool) {
				for _, id := range []string{"a1", "b1", "a2"} {
					l := Letter{DeadLetter: eventstore.DeadLetter{
						Event: rec(id).Events[0], Attempts: 3, Reason: "old",
					}}
					l.Remove = func(ctx context.Context) error { return settle(ctx, id, "-"+id) }
					l.Renew = func(ctx context.Context, attempts int, cause error) error {
						reason, _, _ := strings.Cut(cause.Error(), "\n")
						return settle(ctx, id, fmt.Sprintf("+%s after %d: %s", id, attempts, reason))
					}
					if !yield(l, nil) {
						return
					}
				}
			}
			handled, err := redrive(ctx, letters, func(_ context.Context, e eventstore.Event) error {
				if e.ID == tc.stopAt {
					stop()
				}
				if strings.Contains(tc.fails, e.ID+"!") {
					panic("told to panic")
				}
				if strings.Contains(tc.fails, e.ID) {
					return errors.New("told to fail")
				}
				return nil
			})
			if diff := cmp.Diff(tc.want, got); diff != "" || handled != tc.handled {
				t.Errorf("%s\n%d handled, want %d; settled -want, +got:\n%s", tc.reason, handled, tc.handled, diff)
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s\nerror %v, want %q", tc.reason, err, tc.err)
			}
		})
	}
}
