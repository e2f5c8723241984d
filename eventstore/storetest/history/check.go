package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// patience is how long the check of one stream may take.
const patience = 2 * time.Minute

// Check says what is wrong with a history, or returns nil. Of each stream, the operation that began last must be a read of
// all of it, when nothing else was under way: an append of unknown outcome happened iff that read saw it.
func Check(history []Operation) error {
	streams := map[eventstore.StreamID][]Operation{}
	for _, o := range history {
		streams[o.Stream] = append(streams[o.Stream], o)
	}
	for stream, operations := range streams {
		slices.SortFunc(operations, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
		if err := checkStream(operations); err != nil {
			return &Violation{Stream: stream, Problem: err.Error(), Operations: operations}
		}
	}
	return nil
}

// A Violation is a stream whose history cannot be.
type Violation struct {
	Stream     eventstore.StreamID
	Problem    string
	Operations []Operation // All of the stream, in the order of calls.
}

// Error implements error. It lists the operations.
func (v *Violation) Error() string {
	return fmt.Sprintf("stream %s: %s\n%s", v.Stream, v.Problem, lines(v.Operations))
}

func lines(operations []Operation) string {
	out := make([]string, len(operations))
	for i, o := range operations {
		out[i] = o.String()
	}
	return strings.Join(out, "\n")
}

func checkStream(operations []Operation) error {
	last := operations[len(operations)-1]
	if last.isAppend() || last.After != 0 || last.Outcome != Succeeded {
		return fmt.Errorf("it was not read in the end: %s", last)
	}
	places := map[string]int{} // Of events in the stream.
	for i, id := range last.Read {
		if at, ok := places[id]; ok {
			return fmt.Errorf("event %s is there twice, as version %d and %d", id, at+1, i+1)
		}
		places[id] = i
	}
	var sequential []porcupine.Operation
	for _, o := range operations {
		o, happened, err := settle(o, last.Read, places)
		if err != nil {
			return fmt.Errorf("%w: %s", err, o)
		}
		if happened {
			sequential = append(sequential, porcupine.Operation{
				ClientId: o.Client, Input: o, Output: o, Call: int64(o.Call), Return: int64(o.Return),
			})
		}
	}
	switch result := porcupine.CheckOperationsTimeout(model, sequential, patience); result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("its %d operations could not be checked in %s", len(sequential), patience)
	default:
		return fmt.Errorf("its %d operations are not linearizable", len(sequential))
	}
}

// settle compares an operation with the events that are in the stream in the end, which are those that ever were: after
// it, only versions are left to be put in order. It decides whether an append of unknown outcome happened.
func settle(o Operation, final []string, places map[string]int) (settled Operation, happened bool, err error) {
	if !o.isAppend() {
		return o, o.Outcome == Succeeded, settleRead(o, final)
	}
	at, there := places[o.IDs[0]]
	if there && (len(final) < at+len(o.IDs) || !slices.Equal(final[at:at+len(o.IDs)], o.IDs)) {
		return o, false, fmt.Errorf("an append is torn")
	}
	version := eventstore.Version(at + len(o.IDs))
	switch {
	case o.Outcome == Succeeded && !there:
		return o, false, fmt.Errorf("an acknowledged append is lost")
	case o.Outcome == Succeeded && o.Version != version:
		return o, false, fmt.Errorf("an append was acknowledged with another version than %d, which it has", version)
	case o.Outcome == Conflict && there:
		return o, false, fmt.Errorf("an append ended in a conflict, and is there as version %d", version)
	case o.Outcome == Failed && there:
		return o, false, fmt.Errorf("an append failed for certain, and is there as version %d", version)
	case o.Outcome == Unknown && there: // It happened after its call, and nobody knows until when it may have.
		o.Outcome, o.Version, o.Return = Succeeded, version, math.MaxInt64
	}
	return o, o.Outcome == Succeeded || o.Outcome == Conflict, nil
}

func settleRead(o Operation, final []string) error {
	if o.Outcome != Succeeded {
		return nil
	}
	from, to := int(o.After), int(o.After)+len(o.Read)
	if len(o.Read) > 0 && (to > len(final) || !slices.Equal(final[from:to], o.Read)) {
		return fmt.Errorf("a read saw other events than are there in the end")
	}
	return nil
}

// model says how the version of a stream goes: an append succeeds iff it is at the expected one, and a read sees it.
var model = porcupine.Model{
	Init: func() any { return eventstore.Version(0) },
	Step: func(state, in, _ any) (bool, any) {
		version, o := state.(eventstore.Version), in.(Operation)
		switch next := version + eventstore.Version(len(o.IDs)); {
		case !o.isAppend() && len(o.Read) == 0:
			return version <= o.After, version
		case !o.isAppend():
			return version == o.Version, version
		case o.Outcome == Conflict:
			return version == o.Version && version != o.Expected, version
		default:
			return (version == o.Expected || o.Expected == eventstore.Any) && next == o.Version, next
		}
	},
	DescribeOperation: func(in, _ any) string { return in.(Operation).String() },
}
