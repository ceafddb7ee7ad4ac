package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/auditrelay/auditrelay/internal/legible"
)

// output is how results are shown: as tables for people, or as JSON.
type output struct {
	format string
}

func (o *output) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&o.format, "output", "o", "table", "table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *output) check() error {
	if o.format != "table" && o.format != "json" {
		return usageError("-o must be table or json")
	}
	return nil
}

// show prints v as JSON, or a table of it.
func (o *output) show(cmd *cobra.Command, v any, t func() *table) error {
	if o.format == "json" {
		return writeJSON(cmd.OutOrStdout(), v, "  ")
	}
	return t().write(cmd.OutOrStdout())
}

// colour is an ANSI colour, or none.
type colour string

// The colours, for what needs nothing, looking after, and doing.
const (
	plain  colour = ""
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	red    colour = "\x1b[31m"
)

const reset = "\x1b[0m"

// colourful says whether to write colours: to a terminal, unless NO_COLOR is set (no-color.org).
func colourful(w io.Writer) bool { return terminal(w) && os.Getenv("NO_COLOR") == "" }

// terminal says whether a person sees what is written.
func terminal(w io.Writer) bool {
	f, ok := bare(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// cell is a text of a table.
type cell struct {
	text   string
	colour colour
}

func text(format string, args ...any) cell {
	return cell{text: legible.Cell(fmt.Sprintf(format, args...))}
}

func (c cell) in(k colour) cell {
	c.colour = k
	return c
}

// table is rows of cells under headings.
type table struct {
	headings []string
	rows     [][]cell
	// empty is written in place of a table without rows.
	empty string
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) error {
	if len(t.rows) == 0 && t.empty != "" {
		_, err := fmt.Fprintln(w, t.empty)
		return err
	}
	heading := make([]cell, len(t.headings))
	for i, h := range t.headings {
		heading[i] = cell{text: h}
	}
	rows := append([][]cell{heading}, t.rows...)
	if len(heading) == 0 {
		rows = t.rows
	}
	widths := make(map[int]int)
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	colours := colourful(w)
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			shown := c.text
			if colours && c.colour != plain {
				shown = string(c.colour) + shown + reset
			}
			line.WriteString(shown)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(bare(w), b.String()) // cells are clean, colours are not
	return err
}

// when tells a time absolutely and from now; nil is a dash.
func when(t *time.Time, now time.Time) cell {
	if t == nil || t.IsZero() {
		return text("-")
	}
	return text("%s (%s)", t.UTC().Format("2006-01-02 15:04:05Z"), relative(t.Sub(now)))
}

// relative puts a duration into words: "in 3 h", "5 min ago".
func relative(d time.Duration) string {
	past := d < 0
	d = d.Abs()
	words := ""
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		words = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		words = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		words = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		words = fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
	}
	if past {
		return words + " ago"
	}
	return "in " + words
}
