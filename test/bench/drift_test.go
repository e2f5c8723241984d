package main

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

// TestDraw: a seed says everything, and no store is changed twice while there are others.
func TestDraw(t *testing.T) {
	kinds := []backdoor.Change{{Name: "a"}, {Name: "b", Subscription: true}}
	names := func(seed uint64) (list []string, stores map[int]int) {
		stores = map[int]int{}
		for _, in := range draw(kinds, rand.New(rand.NewPCG(seed, 0)), 20, 10) {
			list = append(list, in.Name)
			stores[in.store]++
		}
		return list, stores
	}
	one, stores := names(1)
	again, _ := names(1)
	other, _ := names(2)
	if !cmp.Equal(one, again) || cmp.Equal(one, other) {
		t.Errorf("seed 1 draws %v, then %v; seed 2 draws %v", one, again, other)
	}
	for store, n := range stores {
		if n != 2 {
			t.Errorf("store %d was chosen %d times of 20, there are 10", store, n)
		}
	}
}
