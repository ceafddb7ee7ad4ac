package simulate

import (
	"fmt"
	"image/color"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// The size of a plot.
const (
	plotWidth  = 20 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// colour is a policy's, told apart by people who see few colours too.
func colour(p Policy) color.Color {
	switch p {
	case Hop:
		return color.RGBA{R: 213, G: 94, A: 255}
	case Schedule:
		return color.RGBA{R: 204, G: 121, B: 167, A: 255}
	case Index:
		return color.RGBA{R: 86, G: 180, B: 233, A: 255}
	case Health:
		return color.RGBA{G: 114, B: 178, A: 255}
	}
	return color.Black
}

// newPlot has room and a legend at the top right.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = font.Length(8)
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return p
}

// PlotBacklog draws the backlog over time of each policy into a file, whose ending says in which format. The scale is logarithmic, with one log
// for none.
func PlotBacklog(path string, reports []Report) error {
	p := newPlot("Logs that were accepted and have not arrived", "hours", "logs")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	for _, r := range reports {
		line := make(plotter.XYs, len(r.Backlog))
		for i, b := range r.Backlog {
			line[i] = plotter.XY{X: float64(b.Minute) / 60, Y: math.Max(1, float64(b.Logs)*r.Scale)}
		}
		if err := addLine(p, r.Policy.Title(), colour(r.Policy), line); err != nil {
			return err
		}
	}
	return save(p, path)
}

func addLine(p *plot.Plot, name string, c color.Color, points plotter.XYs) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return fmt.Errorf("draw %s: %w", name, err)
	}
	line.Color, line.Width = c, vg.Points(1.5)
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

func save(p *plot.Plot, path string) error {
	if err := p.Save(plotWidth, plotHeight, path); err != nil {
		return fmt.Errorf("write the plot %s: %w", path, err)
	}
	return nil
}

// Retries gives the times of a log's attempts, counted from its acceptance, if its destination fails at each of them at once.
func Retries(log string) []time.Duration {
	key := delivery.Key{DestinationID: destinationID(0), WorkspaceID: workspaceID(0), LogID: log, AcceptedAt: begin()}
	var times []time.Duration
	for now, n := key.AcceptedAt, 1; now.Before(key.ExpiresAt()); n++ {
		times = append(times, now.Sub(key.AcceptedAt))
		now = delivery.Decide(delivery.Delivery{Key: key, Attempts: n}, &failure.Error{Code: failure.HTTPServerError}, now)
	}
	return times
}

// PlotRetries draws when a number of logs are tried that were accepted together for a destination that is down for all seven days.
func PlotRetries(path string, logs int) error {
	p := newPlot("When a log is tried again: one dot a log and attempt", "time since acceptance", "log")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks([]plot.Tick{
		{Value: 1, Label: "1 min"}, {Value: 5, Label: "5 min"}, {Value: 20, Label: "20 min"}, {Value: 85, Label: "85 min"}, {Value: 341, Label: "6 h"},
		{Value: 1365, Label: "1 day"}, {Value: 5461, Label: "4 days"}, {Value: 10080, Label: "7 days"},
	})
	p.X.Min, p.X.Max = 0.8, 11_000
	var dots plotter.XYs
	for i := range logs {
		for _, at := range Retries(logID(i))[1:] {
			dots = append(dots, plotter.XY{X: at.Minutes(), Y: float64(i)})
		}
	}
	scatter, err := plotter.NewScatter(dots)
	if err != nil {
		return fmt.Errorf("draw the retries: %w", err)
	}
	scatter.Color, scatter.Radius = colour(Health), vg.Points(1)
	p.Add(scatter)
	return save(p, path)
}
