package plan

import "github.com/crossplane-contrib/provider-eventstore/internal/layout"

// PartitionCount returns how many partitions a store has once its plan is carried out: as many as its marker says, or
// the broker where it has a number. Else it gets what its resource asks for, and at least what exists.
func PartitionCount(d DesiredStore, o ObservedStore) int {
	if o.Marked || o.Partitions != 0 {
		return o.Partitions
	}
	n := d.Partitions
	for _, l := range o.Logs {
		n = max(n, l.Partition+1)
	}
	if n == 0 {
		return layout.DefaultPartitions
	}
	return n
}
