// Package report collects what a benchmark measures, prints it as a table, and writes it as JSON.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A Measure is one figure: an entry of the JSON, and a cell of the table.
type Measure struct {
	Measure string  `json:"measure"`
	Backend string  `json:"backend"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Goal    string  `json:"goal"` // "<= 15", ">= 80", or what it must be; empty: reported only.

	Table string `json:"-"` // Which table it stands in; empty: the first.
}

// missed reports whether there is a goal, and it was not reached.
func (m Measure) missed() bool {
	relation, limit, ok := strings.Cut(m.Goal, " ")
	if !ok {
		relation, limit = "", m.Goal
	}
	v, err := strconv.ParseFloat(limit, 64)
	switch {
	case err != nil:
		return false
	case relation == "<=":
		return m.Value > v
	case relation == ">=":
		return m.Value < v
	default:
		return m.Value != v
	}
}

// A Report is what was measured so far.
type Report struct{ measures []Measure }

// Add adds a figure, with four significant digits.
func (r *Report) Add(m Measure) {
	m.Value = round(m.Value)
	r.measures = append(r.measures, m)
}

// round keeps four significant digits.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-3)
	if unit >= 1 {
		return math.Round(v)
	}
	return math.Round(v/unit) / math.Round(1/unit)
}

// Print writes the table with a column for each backend, then the smaller tables, and the goals that were missed.
func (r *Report) Print(w io.Writer) {
	tables := []string{""}
	for _, m := range r.measures {
		if !slices.Contains(tables, m.Table) {
			tables = append(tables, m.Table)
		}
	}
	for _, t := range tables {
		r.printTable(w, t)
	}
	for _, m := range r.measures {
		if m.missed() {
			fmt.Fprintf(w, "missed: %s on %s is %s %s, the goal is %s\n", m.Measure, m.Backend, number(m.Value), m.Unit, m.Goal)
		}
	}
}

func (r *Report) printTable(w io.Writer, table string) {
	var rows, columns []string
	cells, units := map[[2]string]string{}, map[string]string{}
	for _, m := range r.measures {
		if m.Table != table {
			continue
		}
		if !slices.Contains(rows, m.Measure) {
			rows = append(rows, m.Measure)
		}
		if !slices.Contains(columns, m.Backend) {
			columns = append(columns, m.Backend)
		}
		units[m.Measure], cells[[2]string{m.Measure, m.Backend}] = m.Unit, cell(m)
	}
	if len(rows) == 0 {
		return
	}
	if table != "" {
		fmt.Fprintf(w, "\n%s\n", table)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "MEASURE\tUNIT\t%s\n", strings.ToUpper(strings.Join(columns, "\t")))
	for _, row := range rows {
		line := []string{row, units[row]}
		for _, c := range columns {
			line = append(line, cells[[2]string{row, c}])
		}
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	_ = t.Flush() // As w, which is standard output.
}

func cell(m Measure) string {
	if m.Goal == "" {
		return number(m.Value)
	}
	mark := ""
	if m.missed() {
		mark = " MISSED"
	}
	return fmt.Sprintf("%s (%s)%s", number(m.Value), m.Goal, mark)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Write writes the figures to a file, as a list.
func (r *Report) Write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	measures := r.measures
	if measures == nil {
		measures = []Measure{} // A list in any case.
	}
	b, err := json.MarshalIndent(measures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Percentile returns the smallest time that p percent of all do not exceed; 0 of none.
func Percentile(times []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(float64(len(sorted)*p)/100))-1)]
}
