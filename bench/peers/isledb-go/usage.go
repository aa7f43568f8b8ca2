package main

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// perLook is the number of operations until the clock is read again.
const perLook = 32

// rate is of operations that were done one after another, or by several clients.
type rate struct {
	done    int
	elapsed time.Duration
	// cpu is that of all threads.
	cpu time.Duration
}

// measure calls each with 0, 1, 2 …, by so many clients at once, until there were count or time is up.
func measure(clients, count int, longest time.Duration, each func(i int) error) (rate, error) {
	var next, done atomic.Int64
	var isOver atomic.Bool
	failures := make(chan error, clients)
	var group sync.WaitGroup
	usage := startUsage()
	for range clients {
		group.Go(func() {
			for !isOver.Load() {
				i := int(next.Add(1) - 1)
				if i >= count {
					return
				}
				if err := each(i); err != nil {
					isOver.Store(true)
					failures <- err
					return
				}
				done.Add(1)
				if i%perLook == 0 && time.Since(usage.started) > longest {
					isOver.Store(true)
				}
			}
		})
	}
	group.Wait()
	measured := usage.stop(int(done.Load()))
	close(failures)
	return measured, <-failures
}

func (r rate) perSecond() float64 {
	return float64(r.done) / r.elapsed.Seconds()
}

func (r rate) cpuUs() float64 {
	return float64(r.cpu.Microseconds()) / float64(r.done)
}

// put writes the rate under this name, and what one operation takes of the processor.
func (to figures) put(name string, r rate) {
	to[name] = r.perSecond()
	to[name+"CpuUs"] = r.cpuUs()
}

type usage struct {
	started time.Time
	cpu     time.Duration
}

func startUsage() usage {
	return usage{started: time.Now(), cpu: cpuTime()}
}

func (u usage) stop(done int) rate {
	return rate{done: done, elapsed: time.Since(u.started), cpu: cpuTime() - u.cpu}
}

func cpuTime() time.Duration {
	used := ownUsage()
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func peakRssBytes() float64 {
	peak := float64(ownUsage().Maxrss)
	if runtime.GOOS == "darwin" {
		return peak
	}
	// Elsewhere it is told in kilobytes.
	return peak * 1024
}

func ownUsage() syscall.Rusage {
	var used syscall.Rusage
	// It fails for nothing but a wrong argument.
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1e3
}

// percentile is the nearest rank, in milliseconds; it sorts what it is given.
func percentile(of []time.Duration, percent int) float64 {
	slices.Sort(of)
	return milliseconds(of[(len(of)*percent+99)/100-1])
}
