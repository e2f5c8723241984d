package kafka

import (
	"math"
	"strconv"
	"strings"
)

// canonical returns a value of a configuration key as everybody is to spell it who means the same: Kafka answers with what it
// has understood, such as 0.5 where somebody has set 0.50, or true for TRUE.
func canonical(value string) string {
	v := strings.TrimSpace(value)
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	if strings.Trim(v, "+-.0123456789eE") == "" { // Neither infinity nor hexadecimal.
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return canonicalFloat(f)
		}
	}
	if lower := strings.ToLower(v); lower == "true" || lower == "false" {
		return lower
	}
	list := strings.Split(v, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return strings.Join(list, ",")
}

// canonicalFloat spells a whole number as one: Kafka says 1.0 where somebody has set 1.
func canonicalFloat(f float64) string {
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) < exact {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
