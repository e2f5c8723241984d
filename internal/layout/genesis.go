package layout

import "strconv"

// On Kafka and Pulsar the first record of every partition is the genesis record, which the provider writes before a store
// is Ready. It has no key and no value; its headers (Kafka) or properties (Pulsar) say how the store is laid out. It is no
// event, and not counted. A sourcing store whose partition begins with anything else has lost its history.
const (
	GenesisRecord     = "es_record"     // [GenesisValue]; other records have no such header
	GenesisStore      = "es_store"      // name of the store
	GenesisLayout     = "es_layout"     // [Version]
	GenesisPartitions = "es_partitions" // how many, in decimal
	GenesisHash       = "es_hash"       // [Hash]
)

// GenesisValue is the value of [GenesisRecord].
const GenesisValue = "genesis"

// Genesis returns the headers or properties of a store's genesis records.
func Genesis(store string, partitions int) map[string]string {
	return map[string]string{
		GenesisRecord:     GenesisValue,
		GenesisStore:      store,
		GenesisLayout:     strconv.Itoa(Version),
		GenesisPartitions: strconv.Itoa(partitions),
		GenesisHash:       Hash,
	}
}
