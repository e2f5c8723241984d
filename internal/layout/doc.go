// Package layout says where data lives on a broker: the names of keys, topics, groups and users, the partition of a
// stream, and the keys of a connection Secret. The provider writes by it, the SDK reads by it, and docs/layout.md is
// its specification for clients in other languages. A change here is a new [Version].
//
// Layout does no I/O and knows no broker client.
package layout

// Version of the layout that this code writes. A store records the version that it was created with.
const Version = 1

// Hash names the function that [Partition] uses, as a store's marker and genesis records spell it.
const Hash = "murmur2"

// DefaultPartitions is how many partitions a store gets when nobody asked for a number.
const DefaultPartitions = 6

// Kind says what an append to a store may demand, and follows from its retention.
type Kind string

const (
	// Sourcing stores keep every event for ever, so an append can name the version that it expects.
	Sourcing Kind = "sourcing"
	// Streaming stores forget: on a log whose beginning is gone nobody can tell which of two racing appends won, so
	// appends to them are unconditional.
	Streaming Kind = "streaming"
)

// AnyWindow is how many of a stream's last appends that a process knows are compared with one that has no expected version, to find
// an earlier copy of it.
const AnyWindow = 16
