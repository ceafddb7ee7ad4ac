package unkind

import "time"

// chance is where all that happens is drawn from. What is drawn has a name, so that it is the same in whatever order goroutines draw.
type chance uint64

// sub is a chance of its own.
func (c chance) sub(name string, n int) chance {
	const prime = 1099511628211 // FNV-1a's
	h := uint64(c) ^ 14695981039346656037
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	h = (h ^ uint64(n)) * prime
	// FNV's high bits are poor: mix as SplitMix64 does
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return chance(h ^ h>>31)
}

// unit is a number from 0 to 1, never 1.
func (c chance) unit() float64 { return float64(c>>11) / (1 << 53) }

// hits is true with that probability.
func (c chance) hits(p float64) bool { return c.unit() < p }

// below is a whole number from 0 to n-1.
func (c chance) below(n int) int { return int(c.unit() * float64(n)) }

// between is a time from low to high.
func (c chance) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.unit()*float64(high-low))
}
