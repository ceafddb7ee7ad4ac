package sink

import "sync"

// inParallel calls do for each of 0 to n-1, at most limit at once, and returns when all have returned.
func inParallel(n, limit int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, limit) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
