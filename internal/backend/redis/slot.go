package redis

import (
	"strings"

	"github.com/redis/go-redis/v9"
)

// slotCount is how many slots a Redis Cluster has.
const slotCount = 16384

// slotOf returns the slot of a key: CRC16 (XMODEM) of what is between its first braces, or of all of it.
// Source: Redis Cluster specification, "Key distribution model" and "Hash tags".
func slotOf(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slotCount
}

// keyOf returns the first key of a command, of those that this package sends.
func keyOf(c redis.Cmder) string {
	args, at := c.Args(), 1
	if isScript(c) {
		at = 3
	}
	if len(args) <= at {
		return ""
	}
	s, _ := args[at].(string)
	return s
}
