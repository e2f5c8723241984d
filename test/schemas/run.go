package schemas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Options say what is done.
type Options struct {
	Kube     client.Client
	Subjects []*Subject
	Seed     uint64

	// Of says which changes are made. Default: all.
	Of func(Change) bool

	// Most is how many changes are made, drawn from the catalogue. Default: all.
	Most int

	// Dwell is for how long a change stays, so that everybody notices. Default: 3 seconds.
	Dwell time.Duration

	// Patience is how long it may take until all is as it was; after a tenth of it everybody's objects are written once more.
	// Default: 5 minutes.
	Patience time.Duration

	// Progress gets a line for each change. Default: nobody.
	Progress io.Writer
}

// A Result is how it ended.
type Result struct {
	Made    int // Changes that were taken, and put back.
	Refused int // Changes that were refused, as Kubernetes and Crossplane refuse what cannot be undone.
	Back    int // Of those that were made, after how many everything came back.
	Touched int // Of those, after how many it took a write of the objects: see await.
}

// String says it in one line.
func (r Result) String() string {
	return fmt.Sprintf("%d changes of schemas: %d refused, %d made and put back, after %d of which everything came back (%.1f %%), after %d of them once it was written again",
		r.Made+r.Refused, r.Refused, r.Made, r.Back, 100*float64(r.Refused+r.Back)/float64(max(1, r.Made+r.Refused)), r.Touched)
}

// Run makes changes, one after the other in a random order, and puts each back. It ends with the first after which something
// does not come back, since nothing could be said of those after it.
func Run(ctx context.Context, o Options) (r Result, err error) {
	if o.Dwell == 0 {
		o.Dwell = 3 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	changes, err := Catalogue()
	if err != nil {
		return r, err
	}
	rand.New(rand.NewPCG(o.Seed, 0)).Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	if o.Of != nil {
		changes = slices.DeleteFunc(changes, func(c Change) bool { return !o.Of(c) })
	}
	if o.Most > 0 {
		changes = changes[:min(o.Most, len(changes))]
	}
	if _, err := o.await(ctx); err != nil {
		return r, fmt.Errorf("before any change: %w", err)
	}
	for _, s := range o.Subjects {
		if err := s.note(ctx, o.Kube); err != nil {
			return r, err
		}
	}
	for _, c := range changes {
		start := time.Now()
		refused, touched, err := o.try(ctx, c)
		switch {
		case err != nil:
			return r, fmt.Errorf("seed %d, after the change %q of %s: %w", o.Seed, c.Name, c.Schema, err)
		case refused != nil:
			r.Refused++
			o.say("%-55s refused: %.100s", c.Name, refused)
		default:
			r.Made++
			r.Back++
			how := ""
			if touched {
				r.Touched++
				how = ", once it was written again"
			}
			o.say("%-55s put back, and all came back, after %s%s", c.Name, time.Since(start).Round(100*time.Millisecond), how)
		}
	}
	return r, nil
}

// try makes one change, lets everybody notice, and puts it back.
func (o Options) try(ctx context.Context, c Change) (refused error, touched bool, err error) {
	before := c.object()
	if err := o.Kube.Get(ctx, client.ObjectKeyFromObject(before), before); err != nil {
		return nil, false, err
	}
	changed, err := c.apply(before)
	if err != nil {
		return nil, false, err
	}
	err = o.Kube.Update(ctx, changed)
	for kerrors.IsConflict(err) { // Its status was written meanwhile.
		if err = o.Kube.Get(ctx, client.ObjectKeyFromObject(before), before); err != nil {
			return nil, false, err
		}
		if changed, err = c.apply(before); err != nil {
			return nil, false, err
		}
		err = o.Kube.Update(ctx, changed)
	}
	if kerrors.IsInvalid(err) || kerrors.IsForbidden(err) || kerrors.IsBadRequest(err) {
		return err, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	o.touch(ctx)
	if err := pause(ctx, o.Dwell); err != nil {
		return nil, false, err
	}
	if err := o.restore(ctx, before); err != nil {
		return nil, false, err
	}
	touched, err = o.await(ctx)
	return nil, touched, err
}

// restore puts the spec back as it was.
func (o Options) restore(ctx context.Context, before *unstructured.Unstructured) error {
	for {
		now := before.DeepCopy()
		if err := o.Kube.Get(ctx, client.ObjectKeyFromObject(before), now); err != nil {
			return err
		}
		now.Object["spec"] = before.DeepCopy().Object["spec"]
		if err := o.Kube.Update(ctx, now); !kerrors.IsConflict(err) {
			return err
		}
	}
}

// await applies the manifests again, as a team's pipeline does, until all is well. That changes nothing where what is stored was
// never changed; but whoever watched it meanwhile, such as Crossplane, goes on with what the other schema had left of it until it
// is written. So it is written if it takes long, as docs/operations.md says.
func (o Options) await(ctx context.Context) (touched bool, err error) {
	start := time.Now()
	for {
		var errs []error
		for _, s := range o.Subjects {
			errs = append(errs, s.well(ctx, o.Kube))
		}
		err := errors.Join(errs...)
		switch waited := time.Since(start); {
		case err == nil:
			return touched, nil
		case waited > o.Patience:
			return touched, fmt.Errorf("not as before after %s: %w", o.Patience, err)
		case waited > o.Patience/10 && !touched:
			touched = true
			o.touch(ctx)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return touched, err
		}
	}
}

// touch has everybody write what they have, as far as that can be done now.
func (o Options) touch(ctx context.Context) {
	for _, s := range o.Subjects {
		s.touch(ctx, o.Kube)
	}
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
