package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
)

// results holds what was measured, by system and measure.
type results struct {
	mu     sync.Mutex
	values map[[2]string][]float64
}

func (r *results) add(system, measure string, values []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[[2]string][]float64{}
	}
	k := [2]string{system, measure}
	r.values[k] = append(r.values[k], values...)
}

// row is one line of the table.
type row struct {
	title, measure string
	percentile     float64 // of all samples; for one value per round, 50 is the median
	digits         int
}

var rows = []row{
	{"enqueue, 1 producer, jobs/s", "enqueue 1", 50, 0},
	{"enqueue, 16 producers, jobs/s", "enqueue 16", 50, 0},
	{"enqueue in bulk of 1,000, jobs/s", "enqueue bulk", 50, 0},
	{"drain, 16 slots, jobs/s", "drain 16", 50, 0},
	{"drain, 100 slots, jobs/s", "drain 100", 50, 0},
	{"CPU per drained job, client, 16 slots, µs", "drain 16 client", 50, 1},
	{"CPU per drained job, client, 100 slots, µs", "drain 100 client", 50, 1},
	{"CPU per drained job, server, 16 slots, µs", "drain 16 server", 50, 1},
	{"CPU per drained job, server, 100 slots, µs", "drain 100 server", 50, 1},
	{"CPU per job of 1 producer, client, µs", "enqueue 1 client", 50, 1},
	{"CPU per job of 1 producer, server, µs", "enqueue 1 server", 50, 1},
	{"CPU per bulk-enqueued job, client, µs", "enqueue bulk client", 50, 1},
	{"CPU per bulk-enqueued job, server, µs", "enqueue bulk server", 50, 1},
	{"commands run per drained job, 100 slots", "drain 100 commands", 50, 2},
	{"socket reads per drained job, 100 slots", "drain 100 reads", 50, 3},
	{"bytes per waiting job", "memory", 50, 0},
	{"idle pick-up p50, ms", "pickup", 50, 2},
	{"idle pick-up p99, ms", "pickup", 99, 2},
	{"delayed job, lateness p50, ms", "delay", 50, 1},
	{"delayed job, lateness p99, ms", "delay", 99, 1},
	{"delayed job, earliest, ms", "delay", 0, 1},
	{"commands sent per second, idle", "idle sent", 50, 2},
	{"commands run per second, idle", "idle ran", 50, 2},
}

// print writes a Markdown table: medians, and what the first system has to each other.
func (r *results) print(w io.Writer, systems []contender) {
	head := []string{"", systems[0].name}
	for _, s := range systems[1:] {
		head = append(head, s.name)
	}
	for _, s := range systems[1:] {
		head = append(head, systems[0].name+" / "+s.name)
	}
	line := func(cells []string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }
	line(head)
	line(append([]string{"---"}, slices.Repeat([]string{"---:"}, len(head)-1)...))
	for _, row := range rows {
		if cells := r.cells(row, systems); cells != nil {
			line(cells)
		}
	}
}

// cells is a row of the table; nil when nothing of it was measured.
func (r *results) cells(row row, systems []contender) []string {
	cells, ratios, any := []string{row.title}, []string(nil), false
	var first float64
	for i, s := range systems {
		values := r.values[[2]string{s.name, row.measure}]
		v := percentile(values, row.percentile)
		if i == 0 {
			first = v
		} else {
			ratios = append(ratios, ratio(first, v))
		}
		any = any || len(values) > 0
		cells = append(cells, figure(v, row.digits))
	}
	if !any {
		return nil
	}
	return append(cells, ratios...)
}

// percentile is the smallest value that so many percent of the values do not
// exceed; the mean of the two in the middle for the median of an even number.
// NaN of none.
func percentile(values []float64, p float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if p == 50 && n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[max(0, int(math.Ceil(float64(n)*p/100))-1)]
}

func ratio(a, b float64) string {
	if math.IsNaN(a) || math.IsNaN(b) || a <= 0 || b <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.3g", a/b)
}

// figure writes a number with commas between its thousands; – for NaN.
func figure(v float64, digits int) string {
	if math.IsNaN(v) {
		return "–"
	}
	text := fmt.Sprintf("%.*f", digits, math.Abs(v))
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if v < 0 {
		whole = "−" + whole
	}
	return whole
}
