package redis

import (
	"fmt"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// servers are all that could be reached. A replica may be the master in a moment, so that what is true of one counts.
type servers []server

// persists reports whether what was acknowledged outlives a restart of any of them.
func (all servers) persists() bool {
	for _, s := range all {
		if !s.persists() {
			return false
		}
	}
	return true
}

// persistence says how the servers keep what they have acknowledged.
func (all servers) persistence() string {
	return strings.Join(all.say(func(s server) []string { return []string{s.persistence()} }), "; ")
}

// hazards are the settings of the servers under which no store is created.
func (all servers) hazards() (hazards []plan.Hazard) {
	reasons := map[string]plan.Reason{}
	texts := all.say(func(s server) (texts []string) {
		for _, h := range s.hazards() {
			reasons[h.Message] = h.Reason
			texts = append(texts, h.Message)
		}
		return texts
	})
	for _, text := range texts {
		for message, reason := range reasons {
			if strings.HasPrefix(text, message) {
				hazards = append(hazards, plan.Hazard{Reason: reason, Message: text})
			}
		}
	}
	return hazards
}

// warnings are what may hurt soon.
func (all servers) warnings() []string {
	return all.say(server.warnings)
}

// say collects what is to be said of the servers, once, with the names of those that it concerns if it does not concern all.
func (all servers) say(of func(server) []string) (texts []string) {
	concerned := map[string][]string{}
	for _, s := range all {
		for _, text := range of(s) {
			if concerned[text] == nil {
				texts = append(texts, text)
			}
			concerned[text] = append(concerned[text], s.address)
		}
	}
	for i, text := range texts {
		if who := concerned[text]; len(who) < len(all) {
			texts[i] = fmt.Sprintf("%s (on %s)", text, strings.Join(who, ", "))
		}
	}
	return texts
}
