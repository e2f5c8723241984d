package layout

// Partition returns the partition of a stream, named "<type>/<id>", in a store of n partitions. It is Kafka's default
// partitioner (murmur2 with seed 0x9747b28c, made positive), on every backend, so that clients in other languages agree.
// Source: Kafka, org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
func Partition(stream string, n int) int {
	return int(murmur2([]byte(stream))&0x7fffffff) % n
}

func murmur2(data []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
