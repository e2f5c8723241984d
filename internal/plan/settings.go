package plan

import (
	"maps"
	"slices"
)

// diffSettings plans what a broker has beside the fields that plan knows. What the provider neither sets nor has ever set
// is somebody else's, and left alone.
func diffSettings(d DesiredStore, o ObservedStore, c Context) []Change {
	desired := maps.Clone(d.Settings)
	if desired == nil {
		desired = Settings{}
	}
	for _, name := range c.AppliedSettings {
		if _, ok := desired[name]; !ok {
			desired[name] = ""
		}
	}
	for _, name := range d.Unmanaged {
		delete(desired, name)
	}
	return desired.diff(o.Settings)
}

// diff returns the changes that make observed equal to s, in the order of their names.
func (s Settings) diff(observed Settings) []Change {
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if s[name] != observed[name] {
			changes = append(changes, Change{Field: FieldSetting, Setting: name, From: setting(observed[name]), To: setting(s[name])})
		}
	}
	return changes
}

func setting(value string) string {
	if value == "" {
		return "the broker's default"
	}
	return value
}
