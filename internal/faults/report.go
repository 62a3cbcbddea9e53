package faults

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Row is one line of the report.
type Row struct {
	Fault, Site string
	Injected    int
	Loses       string // what the fault itself may make Redis forget
	Bound       time.Duration
	Result      Result
}

// The report stands between these lines of a page.
const (
	reportBegin = "<!-- written by make test-faults: begin -->"
	reportEnd   = "<!-- end -->"
)

// InsertReport puts a report into a page, in place of the one before it.
func InsertReport(page, report string) (string, error) {
	before, rest, ok := strings.Cut(page, reportBegin)
	_, after, closed := strings.Cut(rest, reportEnd)
	if !ok || !closed {
		return "", fmt.Errorf("the page has no place for the report: add the lines %q and %q", reportBegin, reportEnd)
	}
	return before + reportBegin + "\n\n" + strings.TrimSpace(report) + "\n\n" + reportEnd + after, nil
}

// WriteReport writes the table in Markdown, in the given order of faults.
func WriteReport(w io.Writer, order map[string]int, rows []Row) error {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(order[a.Fault], order[b.Fault]), cmp.Compare(a.Site, b.Site))
	})
	_, err := fmt.Fprint(w, "| fault | on | injected | jobs | refused | unknown | lost | run again | recovery | promised |\n",
		"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	var sum Row
	for _, r := range rows {
		if err == nil {
			_, err = fmt.Fprint(w, r.line())
		}
		sum.add(r)
	}
	if err == nil {
		_, err = fmt.Fprint(w, sum.line())
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (r *Row) add(o Row) {
	r.Fault = "all"
	r.Injected += o.Injected
	r.Result.Jobs += o.Result.Jobs
	r.Result.Refused += o.Result.Refused
	r.Result.Unknown += o.Result.Unknown
	r.Result.Lost += o.Result.Lost
	r.Result.Doubled += o.Result.Doubled
}

func (r Row) line() string {
	lost := fmt.Sprint(r.Result.Lost)
	if r.Loses != "" {
		lost += " (" + r.Loses + ")"
	}
	recovery, bound := "", ""
	if r.Bound > 0 {
		bound = seconds(r.Bound)
	}
	if r.Result.Recovery > 0 {
		recovery = seconds(r.Result.Recovery)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %s | %d | %s | %s |\n",
		r.Fault, r.Site, r.Injected, r.Result.Jobs, r.Result.Refused, r.Result.Unknown, lost, r.Result.Doubled, recovery, bound)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
