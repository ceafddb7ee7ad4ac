package unkind

import (
	"strconv"
	"time"
)

// unkind says whether something of these kinds may happen now.
func (w *World) unkind(k Kinds) bool { return w.kinds.Has(k) && time.Now().Before(w.calm) }

// lostShare is how many answers of a service are lost: in one run of three ten times as many as in the others. Receivers are no better and no worse.
func (w *World) lostShare(service string) float64 {
	if service != "receiver" && w.chance.sub("lost", 0).hits(0.33) {
		return 10 * lostShare
	}
	return lostShare
}

// latency is how long a call takes.
func (w *World) latency(d chance) time.Duration {
	switch x := d.sub("latency", 0).unit(); {
	case x < 0.01 && w.unkind(SlowCall):
		return d.sub("slow", 0).between(300*time.Millisecond, 4*time.Second)
	case x < 0.03:
		return d.sub("tail", 0).between(20*time.Millisecond, 250*time.Millisecond)
	}
	return d.sub("usual", 0).between(2*time.Millisecond, 12*time.Millisecond)
}

// indexLag is how late an index shows a write. In a slow spell, of which each index has its own, it is up to minutes.
func (w *World) indexLag(_, index, key string) time.Duration {
	const spell = 10 * time.Minute
	now := time.Now()
	draw := w.chance.sub("index "+index+" "+key, int(now.UnixNano()))
	if w.unkind(LateIndex) && w.chance.sub("spell "+index, int(now.Truncate(spell).Unix())).hits(0.5) {
		most := w.chance.sub("most "+index, int(now.Truncate(spell).Unix())).between(time.Second, lateIndexMost)
		return draw.between(0, most)
	}
	return draw.between(5*time.Millisecond, indexLag)
}

// readLag is how old an eventually consistent read is.
func (w *World) readLag(_, key string) time.Duration {
	if !w.unkind(LateRead) {
		return 0
	}
	draw := w.chance.sub("read "+key, int(time.Now().UnixNano()))
	if draw.hits(0.5) {
		return 0
	}
	return draw.sub("age", 0).between(0, lateReadMost)
}

// throttled says whether a partition takes nothing now.
func (w *World) throttled(partition string) bool {
	if !w.unkind(Throttling) {
		return false
	}
	spell := int(time.Now().Truncate(throttledMost).Unix())
	return w.chance.sub("throttled "+partition, spell).hits(0.04)
}

// away says whether a service takes no calls now.
func (w *World) away(service string) bool { return w.unkind(Outage) && w.outageOf(service, false) }

// hangs says whether a service takes calls and does not answer.
func (w *World) hangs(service string) bool { return w.unkind(Hanging) && w.outageOf(service, true) }

func (w *World) outageOf(service string, hangs bool) bool {
	now := time.Now()
	for _, o := range w.outages {
		if o.service == service && o.hangs == hangs && !now.Before(o.from) && now.Before(o.to) {
			return true
		}
	}
	return false
}

// drawOutages decides when services are away.
func (w *World) drawOutages() {
	services := []string{"deliveries", "directory", "sqs", "bus", "mail", "scheduler"}
	for n := range 1 + w.chance.sub("outages", 0).below(3) {
		d := w.chance.sub("outage "+strconv.Itoa(n), 0)
		from := w.start.Add(d.sub("from", 0).between(0, w.calm.Sub(w.start)))
		w.outages = append(w.outages, outage{services[d.sub("service", 0).below(len(services))], from, from.Add(d.sub("for", 0).between(5*time.Second, outageMost)), false})
	}
	d := w.chance.sub("hanging", 0)
	from := w.start.Add(d.sub("from", 0).between(0, w.calm.Sub(w.start)))
	w.outages = append(w.outages, outage{"bus", from, from.Add(d.sub("for", 0).between(time.Minute, 10*time.Minute)), true})
}
