package v1alpha1

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationJSON(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   string
	}{
		"Hours":   {"Whole hours stay as users write them: a rewritten spec would look like drift.", `"720h"`, `"720h"`},
		"Minutes": {"Whole minutes too.", `"90m"`, `"90m"`},
		"Mixed":   {"What has several parts is written in Go's form.", `"1h0m30s"`, `"1h0m30s"`},
		"Zero":    {"Zero has a unit.", `"0s"`, `"0s"`},
		"Millis":  {"Round trips are short.", `"2ms"`, `"2ms"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var d Duration
			if err := json.Unmarshal([]byte(tc.in), &d); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("%s\n%s became %s, want %s", tc.reason, tc.in, got, tc.want)
			}
		})
	}
}

func TestDurationRefuses(t *testing.T) {
	for _, in := range []string{`"7d"`, `720`, `"soon"`, `{}`} {
		if err := json.Unmarshal([]byte(in), &Duration{}); err == nil {
			t.Errorf("%s was read as a duration", in)
		}
	}
}

func FuzzDurationRoundTrip(f *testing.F) {
	f.Add(int64(time.Hour))
	f.Add(int64(90 * time.Second))
	f.Add(int64(-1))
	f.Fuzz(func(t *testing.T, n int64) {
		b, err := json.Marshal(DurationOf(time.Duration(n)))
		if err != nil {
			t.Fatal(err)
		}
		var got Duration
		if err := json.Unmarshal(b, &got); err != nil || int64(got.Duration) != n {
			t.Errorf("%d became %s, and %d (%v)", n, b, got.Duration, err)
		}
	})
}
