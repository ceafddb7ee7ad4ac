package unkind

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What "make soak" and whoever looks into a seed says.
var (
	seedsFlag = flag.Int("seeds", 0, "how many seeds to play")
	fromFlag  = flag.Uint64("from", 1, "the first of them")
	seedFlag  = flag.Uint64("seed", 0, "play this seed alone, and tell what happens")
	storyFlag = flag.String("story", "", "tell this story whatever a seed draws")
	kindsFlag = flag.String("kinds", "all", "the kinds that may be drawn, with commas between them")
	forceFlag = flag.String("force", "none", "the kinds that every run has")
	allFlag   = flag.Bool("all", false, "show the breaches of known gaps too")
)

// seedsOfATest is how many seeds every run of the tests plays; a soak takes others.
const seedsOfATest = 60

func options(t *testing.T) Options {
	t.Helper()
	allow, err := ParseKinds(*kindsFlag)
	if err != nil {
		t.Fatal(err)
	}
	force, err := ParseKinds(*forceFlag)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Allow: allow, Force: force, Story: *storyFlag}
}

func parts(t *testing.T) *Parts {
	t.Helper()
	p, err := NewParts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func play(t *testing.T, p *Parts, seed uint64, o Options) (r Result) {
	synctest.Test(t, func(*testing.T) { r = Run(p, seed, o) })
	return r
}

// playAll plays seeds beside each other and hands each result to tell.
func playAll(t *testing.T, from uint64, seeds int, o Options, tell func(t *testing.T, r Result, took time.Duration)) {
	p := parts(t)
	percent := debug.SetGCPercent(400)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	var next atomic.Uint64
	next.Store(from)
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := next.Add(1) - 1; seed < from+uint64(seeds); seed = next.Add(1) - 1 {
				began := time.Now()
				r := play(t, p, seed, o)
				tell(t, r, time.Since(began))
			}
		})
	}
}

// TestPromisesHoldInAnyWeather plays some seeds, each a story and its weather. "make soak" plays a million others.
func TestPromisesHoldInAnyWeather(t *testing.T) {
	seeds := seedsOfATest
	if testing.Short() {
		seeds /= 4
	}
	playAll(t, 1, seeds, Options{Allow: All}, func(t *testing.T, r Result, _ time.Duration) {
		for _, b := range r.Unexpected() {
			t.Errorf("seed %d, %s under %s: %v\n\tsee it with: go test ./internal/unkind -run TestSeed -seed %d", r.Seed, r.Story, r.Kinds, b, r.Seed)
		}
		if r.Logs == 0 {
			t.Errorf("seed %d, %s: no logs were sent", r.Seed, r.Story)
		}
	})
}

// TestARunDependsOnItsSeedAlone, whatever goroutines do.
func TestARunDependsOnItsSeedAlone(t *testing.T) {
	p := parts(t)
	for seed := uint64(1); seed <= 6; seed++ {
		var told [2][]string
		for i := range told {
			play(t, p, seed, Options{Allow: All, Trace: func(line string) { told[i] = append(told[i], line) }})
			slices.Sort(told[i]) // what happens at the very same time is told in any order
		}
		if !slices.Equal(told[0], told[1]) {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// TestSeed tells what happens in one run.
func TestSeed(t *testing.T) {
	if *seedFlag == 0 {
		return
	}
	o := options(t)
	o.Trace = func(line string) { fmt.Println(line) }
	r := play(t, parts(t), *seedFlag, o)
	fmt.Printf("seed %d: %s under %s, %d logs, %d requests in %v\n", r.Seed, r.Story, r.Kinds, r.Logs, r.Requests, r.Span)
	for _, b := range r.Breaches {
		t.Error(b)
	}
}

// TestSoak plays as many seeds as it is told to.
func TestSoak(t *testing.T) {
	const slow = 10 * time.Second
	var played, logs, requests atomic.Int64
	var span atomic.Int64
	began := time.Now()
	playAll(t, *fromFlag, *seedsFlag, options(t), func(t *testing.T, r Result, took time.Duration) {
		breaches := r.Unexpected()
		if *allFlag {
			breaches = r.Breaches
		}
		for _, b := range breaches { // as they come: a soak takes hours
			fmt.Printf("seed %d, %s, %s: %v\n", r.Seed, r.Story, r.Kinds, b)
			t.Fail()
		}
		if took > slow {
			fmt.Printf("seed %d, %s, took %v\n", r.Seed, r.Story, took)
		}
		logs.Add(int64(r.Logs))
		requests.Add(int64(r.Requests))
		span.Add(int64(r.Span / time.Second))
		if n := played.Add(1); n%10_000 == 0 {
			fmt.Printf("%d seeds, %d logs, %d requests, %d days of virtual time in %v\n", n, logs.Load(), requests.Load(), span.Load()/86400, time.Since(began).Round(time.Second))
		}
	})
}
