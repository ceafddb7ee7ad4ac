package picture

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bench draws the table of the benchmark that stands in the page on performance, between its two marks: a bar of processor seconds for each program.
func Bench(page string) ([]byte, error) {
	_, table, found := strings.Cut(page, "<!-- bench -->")
	table, _, closed := strings.Cut(table, "<!-- /bench -->")
	if !found || !closed {
		return nil, errors.New("the page has no table between <!-- bench --> and <!-- /bench -->")
	}
	type run struct {
		name, seconds string
		value         float64
	}
	var runs []run
	most := 0.0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 5 {
			continue
		}
		seconds := strings.TrimSpace(cells[1])
		value, err := strconv.ParseFloat(seconds, 64)
		if err != nil {
			continue // the heading
		}
		runs = append(runs, run{strings.TrimSpace(cells[0]), seconds, value})
		most = max(most, value)
	}
	if len(runs) == 0 {
		return nil, errors.New("the table of the benchmark has no rows")
	}
	d := &drawing{title: "Processor seconds for 1,000 logs", width: 960, description: "Lower is better. The baselines are what others would write in its place."}
	d.text("strong", "start", 20, 32, "Processor seconds for 1,000 logs; less is better")
	d.text("quiet small", "start", 20, 52, "Green: auditrelay. Grey: baselines of the same run.")
	const left, widest, step = 420, 460, 30
	for i, r := range runs {
		y := 70 + i*step
		class := "box"
		if strings.HasPrefix(r.name, "auditrelay") {
			class = "good"
		}
		d.text("small", "end", left-10, y+15, r.name)
		fmt.Fprintf(&d.body, `<rect class="%s" x="%d" y="%d" width="%d" height="20" rx="3"/>`+"\n", class, left, y, int(widest*r.value/most))
		d.text("small strong", "start", left+8+int(widest*r.value/most), y+15, r.seconds)
	}
	d.height = 70 + len(runs)*step + 16
	return d.svg(), nil
}
