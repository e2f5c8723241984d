package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// faulty loses the reply of some appends, and lets another writer in before others.
type faulty struct {
	eventstore.Store
	lose, race int
}

func (f *faulty) Append(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	if f.race > 0 {
		f.race--
		if _, err := f.Store.Append(ctx, s, eventstore.Any, eventstore.EventData{Type: "Deposited", Data: 1}); err != nil {
			return 0, err
		}
	}
	v, err := f.Store.Append(ctx, s, expected, events...)
	if f.lose > 0 {
		f.lose--
		return 0, fmt.Errorf("cannot append to %s: %w", s, eventstore.ErrUnknownOutcome)
	}
	return v, err
}

func TestExecute(t *testing.T) {
	cases := map[string]struct {
		reason     string
		lose, race int
		refuse     error
		want       int
		wantErr    error
	}{
		"Plain":     {reason: "The event is appended.", want: 10},
		"LostReply": {reason: "A lost reply is no second deposit.", lose: 3, want: 10},
		"Race":      {reason: "Who is slower decides again, on what is there then.", race: 2, want: 12},
		"Both":      {reason: "A lost reply of an append that lost is found out.", race: 1, lose: 1, want: 11},
		"Starved":   {reason: "It gives up in the end.", race: 1000, want: 0, wantErr: eventstore.ErrConcurrency},
		"Refused":   {reason: "Nothing is appended if decide says so.", refuse: context.Canceled, wantErr: context.Canceled},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			store := &faulty{Store: memory.New(), lose: tc.lose, race: tc.race}
			got, err := accounts.Execute(t.Context(), store, "a", func(Account) ([]eventstore.EventData, error) {
				return []eventstore.EventData{{Type: "Deposited", Data: 10}}, tc.refuse
			})
			if !errors.Is(err, tc.wantErr) || got.Balance != tc.want {
				t.Errorf("%s\nExecute: balance %d, %v; want %d, %v", tc.reason, got.Balance, err, tc.want, tc.wantErr)
			}
			if loaded, _, err := accounts.Load(t.Context(), store, "a"); tc.wantErr == nil && (err != nil || loaded != got) {
				t.Errorf("%s\nLoad: %+v, %v; want what Execute returned: %+v", tc.reason, loaded, err, got)
			}
		})
	}
}

// An event that Evolve cannot take must not get into the stream: nobody could load it any more.
func TestExecuteEvolvesFirst(t *testing.T) {
	store := memory.New()
	_, err := accounts.Execute(t.Context(), store, "a", func(Account) ([]eventstore.EventData, error) {
		return []eventstore.EventData{{Type: "Deposited", Data: 1}, {Type: "Deposited", Data: "a lot"}}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "cannot evolve account/a to version 2") {
		t.Errorf("Execute: %v, want an error that says which version cannot be", err)
	}
	if _, v, err := accounts.Load(t.Context(), store, "a"); v != 0 || err != nil {
		t.Errorf("Load: version %d, %v; want 0", v, err)
	}
}

func TestExecuteMaxAttempts(t *testing.T) {
	few := accounts
	few.MaxAttempts = 3
	decided := 0
	_, err := few.Execute(t.Context(), &faulty{Store: memory.New(), race: 1000}, "a", func(Account) ([]eventstore.EventData, error) {
		decided++
		return []eventstore.EventData{{Type: "Deposited", Data: 10}}, nil
	})
	if !errors.Is(err, eventstore.ErrConcurrency) || decided != 3 {
		t.Errorf("Execute decided %d times, %v; want 3 times and a conflict", decided, err)
	}
}

// A decide that finds another version than its caller expected is not asked again.
func TestExecuteDecideConflicts(t *testing.T) {
	decided, conflict := 0, &eventstore.ConcurrencyError{Expected: 3, Actual: 0}
	_, err := accounts.Execute(t.Context(), memory.New(), "a", func(Account) ([]eventstore.EventData, error) {
		decided++
		return nil, conflict
	})
	if !errors.Is(err, conflict) || decided != 1 {
		t.Errorf("Execute decided %d times, %v; want once, and what decide said", decided, err)
	}
}

func TestExecuteStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := accounts.Execute(ctx, &faulty{Store: memory.New(), race: 1000}, "a", func(Account) ([]eventstore.EventData, error) {
		cancel()
		return []eventstore.EventData{{Type: "Deposited", Data: 10}}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Execute: %v, want the context's end", err)
	}
}
