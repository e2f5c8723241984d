package v1alpha1

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Duration is a positive time span in Go's format, such as "720h" or "30s", that the API server checks. It is
// metav1.Duration otherwise.
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) > duration('0s')",message="write a positive duration in h, m, s or ms, such as 720h or 30s (days are not a unit: 7 days are 168h)"
type Duration struct {
	time.Duration `json:"-"`
}

// DurationOf returns a pointer to d, for optional fields.
func DurationOf(d time.Duration) *Duration { return &Duration{Duration: d} }

// MarshalJSON writes the shortest form of what Go's format offers: "720h", not "720h0m0s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads Go's format.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("cannot read duration: %w", err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("cannot read duration %q: %w", s, err)
	}
	d.Duration = v
	return nil
}

// String returns the duration without its zero parts.
func (d Duration) String() string {
	switch {
	case d.Duration != 0 && d.Duration%time.Hour == 0:
		return fmt.Sprintf("%dh", d.Duration/time.Hour)
	case d.Duration != 0 && d.Duration%time.Minute == 0:
		return fmt.Sprintf("%dm", d.Duration/time.Minute)
	}
	return d.Duration.String()
}

// ToUnstructured returns what MarshalJSON writes, so that conversion to unstructured keeps the string.
func (d Duration) ToUnstructured() any { return d.String() }
