package kafka

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestCanonical(t *testing.T) {
	cases := map[string]struct{ reason, value, want string }{
		"Number":       {"A number is itself.", "600000", "600000"},
		"Zeros":        {"Kafka reads decimal numbers.", "+007", "7"},
		"Negative":     {"No limit.", "-1", "-1"},
		"Longest":      {"No digit of a long number is lost.", "9223372036854775807", "9223372036854775807"},
		"Fraction":     {"Kafka leaves zeros out.", "0.50", "0.5"},
		"SmallInKafka": {"Kafka writes small numbers with an exponent.", "1.0E-4", "0.0001"},
		"Small":        {"People do not.", "0.0001", "0.0001"},
		"Whole":        {"Kafka writes whole numbers of a key that takes fractions with one.", "1.0", "1"},
		"Infinity":     {"A word that is a number to Go is a word.", "Infinity", "Infinity"},
		"Truth":        {"Kafka takes any case, and answers with lower case.", "TRUE", "true"},
		"List":         {"Kafka leaves spaces out.", " gzip , zstd", "gzip,zstd"},
		"Word":         {"The case of words matters.", "LogAppendTime", "LogAppendTime"},
		"Nothing":      {"The broker's default.", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := canonical(tc.value); got != tc.want {
				t.Errorf("%s\ncanonical(%q): %q, want %q", tc.reason, tc.value, got, tc.want)
			}
		})
	}
}

// TestValuesInOtherWords sets values that Kafka spells differently: that is no drift.
func TestValuesInOtherWords(t *testing.T) {
	f := start(t)
	d, c := f.store("words.orders")
	d.Native = map[string]string{
		"min.cleanable.dirty.ratio": "0.50", "preallocate": "TRUE", "segment.ms": "0700000",
		"leader.replication.throttled.replicas": "0:0, 1:0",
	}
	f.applyStore(t, d, c)
	d.Native["min.cleanable.dirty.ratio"] = "0.0001"
	f.applyStore(t, d, c)
	d.Native["min.cleanable.dirty.ratio"] = "1"
	f.applyStore(t, d, c)
}

// TestStuck sets a value that Kafka never shows as it was set: that store fails, and the others of its batch do not.
func TestStuck(t *testing.T) {
	f := start(t)
	stuck, _ := f.store("stuck.bad")
	good, c := f.store("stuck.good")
	for _, d := range []plan.DesiredStore{stuck, good} {
		_, c := f.store(d.Name)
		f.applyStore(t, d, c)
	}
	stuck.Native = map[string]string{"min.cleanable.dirty.ratio": "0.4d"} // Java takes that for 0.4.
	good.Native = map[string]string{"segment.ms": "700000"}
	good.Principal = f.backend.StorePrincipal(good.Name, "", "another")
	var all []backend.StoreChange
	for _, d := range []plan.DesiredStore{stuck, good} {
		change, _ := f.change(t, d, c)
		all = append(all, change)
	}
	all[1].Password = "another"
	ctx, cancel := batchContext(t)
	defer cancel()
	errs := f.backend.ApplyStores(ctx, all)
	if errs[0] == nil || errs[1] != nil || ctx.Err() != nil {
		t.Errorf("errors: %v, and the batch: %v", errs, ctx.Err())
	}
	if change, p := f.change(t, good, c); len(p.Changes) > 0 || change.Observed.Principal != good.Principal {
		t.Errorf("the other store: %+v", p)
	}
}
