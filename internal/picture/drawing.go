// Package picture draws the pictures of the documentation that are made from code and data: the states of a connection, the life of a log, the
// architecture, and the benchmark. The same input gives the same bytes, so that a test can tell when a picture is stale.
package picture

import (
	"fmt"
	"html"
	"os"
	"strings"
)

// drawing is an SVG picture that grows by what is put into it. It has a ground of its own and follows the reader's colour scheme, so it can be read on
// any page.
type drawing struct {
	title, description string
	width, height      int
	body               strings.Builder
}

const style = `
.ground{fill:#fff}.ink,text{fill:#1f2733}.quiet{fill:#586374}.strong{font-weight:600}.small{font-size:12px}
.box{fill:#f3f6fa;stroke:#9aa7b8}.good{fill:#e2f4e9;stroke:#2c8a57}.bad{fill:#fbe7e5;stroke:#c0453b}.wait{fill:#fdf3da;stroke:#b98a1f}.move{fill:#e4edfb;stroke:#3a6fc4}
.line{stroke:#586374;fill:none}.head{fill:#586374}.mark{fill:#1f2733}.onmark{fill:#fff}
@media (prefers-color-scheme:dark){
.ground{fill:#151b24}.ink,text{fill:#e5eaf2}.quiet{fill:#a3afc0}
.box{fill:#202936;stroke:#5d6b7e}.good{fill:#15321f;stroke:#4dbb82}.bad{fill:#3d1a18;stroke:#ea7a70}.wait{fill:#3a2c0d;stroke:#d7a93c}.move{fill:#182b4a;stroke:#6f9fe8}
.line{stroke:#a3afc0}.head{fill:#a3afc0}.mark{fill:#e5eaf2}.onmark{fill:#151b24}
}`

// svg is the whole picture, as high as it was found to be.
func (d *drawing) svg() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui,Helvetica,Arial,sans-serif" font-size="14">`+"\n",
		d.width, d.height, d.width, d.height)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n<style>%s\n</style>\n", html.EscapeString(d.title), html.EscapeString(d.description), style)
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d" rx="8"/>`+"\n", d.width, d.height)
	b.WriteString(d.body.String())
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// box is a rounded rectangle with a name in its middle and smaller words below it.
func (d *drawing) box(class string, x, y, w, h int, name string, words ...string) {
	fmt.Fprintf(&d.body, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="7" stroke-width="1.3"/>`+"\n", class, x, y, w, h)
	top := y + h/2 + 5 - 8*len(words)
	d.text("strong", "middle", x+w/2, top, name)
	for i, line := range words {
		d.text("quiet small", "middle", x+w/2, top+16*(i+1), line)
	}
}

// text writes a line whose anchor is "start", "middle" or "end".
func (d *drawing) text(class, anchor string, x, y int, line string) {
	fmt.Fprintf(&d.body, `<text class="%s" text-anchor="%s" x="%d" y="%d">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(line))
}

// mark is a number in a circle.
func (d *drawing) mark(x, y, number int) {
	fmt.Fprintf(&d.body, `<circle class="mark" cx="%d" cy="%d" r="10"/><text class="onmark small strong" text-anchor="middle" x="%d" y="%d">%d</text>`+"\n", x, y, x, y+4, number)
}

type point struct{ x, y int }

// arrow is a line along the points that ends in a head. Its parts run along the axes.
func (d *drawing) arrow(points ...point) {
	var path []string
	for _, p := range points {
		path = append(path, fmt.Sprintf("%d,%d", p.x, p.y))
	}
	fmt.Fprintf(&d.body, `<polyline class="line" stroke-width="1.4" points="%s"/>`+"\n", strings.Join(path, " "))
	from, to := points[len(points)-2], points[len(points)-1]
	dx, dy := sign(to.x-from.x), sign(to.y-from.y)
	fmt.Fprintf(&d.body, `<polygon class="head" points="%d,%d %d,%d %d,%d"/>`+"\n",
		to.x, to.y, to.x-8*dx+4*dy, to.y-8*dy+4*dx, to.x-8*dx-4*dy, to.y-8*dy-4*dx)
}

func sign(n int) int {
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	}
	return 0
}

// Hold compares a picture with the file that the documentation shows. The error says what to do; with update it writes the file first.
func Hold(path string, want []byte, update bool) error {
	if update {
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // pictures of the documentation are for everyone
			return fmt.Errorf("write the picture: %w", err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the picture: %w; make docs draws it", err)
	}
	if string(got) != string(want) {
		return fmt.Errorf("%s is stale: it does not show what the code says now; run make docs", path)
	}
	return nil
}
