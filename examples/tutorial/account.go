package main

import (
	"errors"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// What can happen to an account.
type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int }
	Withdrawn struct{ Cents int }
)

// Account is what its events add up to.
type Account struct {
	Owner   string
	Balance int // cents
}

// accounts rebuilds an Account from its events, and saves a snapshot after every hundredth.
var accounts = eventstore.Aggregate[Account]{Type: "account", Evolve: evolve, Snapshot: eventstore.EveryEvents(100)}

// evolve says what an event makes of an account. It decides nothing: what happened, happened.
func evolve(a Account, e eventstore.Event) (Account, error) {
	switch e.Type {
	case "Opened":
		var o Opened
		err := e.Decode(&o)
		a.Owner = o.Owner
		return a, err
	case "Deposited":
		var d Deposited
		err := e.Decode(&d)
		a.Balance += d.Cents
		return a, err
	case "Withdrawn":
		var w Withdrawn
		err := e.Decode(&w)
		a.Balance -= w.Cents
		return a, err
	}
	return a, nil
}

// The commands decide: each looks at the account as it is, and refuses, or says what happens.

func open(owner string) func(Account) ([]eventstore.EventData, error) {
	return func(a Account) ([]eventstore.EventData, error) {
		if a.Owner != "" {
			return nil, fmt.Errorf("the account is %s's already", a.Owner)
		}
		return []eventstore.EventData{{Type: "Opened", Data: Opened{Owner: owner}}}, nil
	}
}

func deposit(cents int) func(Account) ([]eventstore.EventData, error) {
	return func(a Account) ([]eventstore.EventData, error) {
		if a.Owner == "" {
			return nil, errors.New("there is no such account: open it first")
		}
		return []eventstore.EventData{{Type: "Deposited", Data: Deposited{Cents: cents}}}, nil
	}
}

func withdraw(cents int) func(Account) ([]eventstore.EventData, error) {
	return func(a Account) ([]eventstore.EventData, error) {
		if cents > a.Balance {
			return nil, fmt.Errorf("the account has %d cents, which is less than %d", a.Balance, cents)
		}
		return []eventstore.EventData{{Type: "Withdrawn", Data: Withdrawn{Cents: cents}}}, nil
	}
}
