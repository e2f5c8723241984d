package layout

// GenesisType is the content type of the first record of every partition on Kafka and Pulsar. The record is no event and has
// no key; its value is a JSON object of a [Genesis].
const GenesisType = "application/vnd.eventstore.genesis+json"

// ContentType is the header (Kafka) or property (Pulsar) that says what a record's value is.
const ContentType = "content-type"

// A Genesis says how a store is laid out. Whoever opens the store reads it, and refuses what it does not know, or what is
// not as its Secret says; if the first record of a sourcing store is no genesis, its history is lost.
type Genesis struct {
	Layout     int    `json:"layout"`     // [Version] that the store was created with
	Partitions int    `json:"partitions"` // of the topic when it was created; any more of them are not used
	Hash       string `json:"hash"`       // [Hash]
}
