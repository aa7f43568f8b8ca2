package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ankur-anand/isledb"
)

const (
	progressSteps = 20
	// flushInterval is the quickest for 3 million records, of 1, 10, 30, 100 and 1,000 milliseconds (the default): then there is
	// nearly always a memtable being written.
	flushInterval = 10 * time.Millisecond
	// durableMemtableBytes: each commit takes a new memtable, whose memory is cleared.
	durableMemtableBytes = 1 << 20

	durablePuts   = 1_000
	durableWarmUp = 100
)

// durableGroups are clients that each put one record after another, and how many puts they make together.
var durableGroups = []struct{ clients, puts int }{{64, 12_800}, {1_024, 51_200}}

// ingest writes records, and reads them back when the time is taken.
func ingest(ctx context.Context, given task, records *workload) (measured figures, err error) {
	db, err := openDatabase(ctx, given)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	stop := func() error { return nil }
	if !given.IsUnmaintained {
		if stop, err = maintain(ctx, db); err != nil {
			return nil, err
		}
	}
	options, write := writerOptions(), writeAll
	if given.Mode == "durable" {
		options.Memtable.TargetBytes, write = durableMemtableBytes, writeDurably
	} else {
		options.Flush.Interval = flushInterval
	}
	writer, err := db.OpenWriter(ctx, options)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	end := func() error { return errors.Join(writer.Close(ctx), stop()) }
	measured, written, err := write(ctx, given, records, writer, end)
	if err != nil {
		return nil, err
	}
	return measured, withReader(ctx, given, db, 0, func(reader *isledb.Reader) error {
		return verify(ctx, reader, records, written)
	})
}

// maintain merges tables in the background, until the function is called that it returns.
func maintain(ctx context.Context, db *isledb.DB) (stop func() error, err error) {
	maintenance, err := db.OpenMaintenance(ctx, isledb.DefaultMaintenanceOptions())
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- maintenance.Run(running) }()
	return func() error {
		cancel()
		err := <-ended
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(err, maintenance.Close(ctx))
	}, nil
}

// writeAll puts records one by one; the time runs until all of them are committed and both writer and maintenance closed.
func writeAll(
	ctx context.Context,
	given task,
	records *workload,
	writer *isledb.Writer,
	end func() error,
) (figures, int, error) {
	var key [keyBytes]byte
	step := max(1, given.Records/progressSteps)
	whole := startUsage()
	accepted, err := measure(1, given.Records, given.longest(), func(i int) error {
		if i%step == 0 {
			progress(float64(i) / float64(given.Records))
		}
		return put(ctx, writer, records.putKey(&key, i), records.value(i))
	})
	if err := errors.Join(err, end()); err != nil {
		return nil, 0, err
	}
	total := whole.stop(accepted.done)
	return figures{
		"putsPerSecond":     total.perSecond(),
		"records":           float64(total.done),
		"acceptedMs":        milliseconds(accepted.elapsed),
		"elapsedMs":         milliseconds(total.elapsed),
		"cpuSeconds":        total.cpu.Seconds(),
		"cpuUsPerOperation": total.cpuUs(),
		"peakRssBytes":      peakRssBytes(),
	}, total.done, nil
}

// writeDurably commits one record at a time, and then as many as there are clients: a writer is for one caller at a time, so
// that sharing commits is left to the application.
func writeDurably(
	ctx context.Context,
	given task,
	records *workload,
	writer *isledb.Writer,
	end func() error,
) (figures, int, error) {
	written := 0
	var key [keyBytes]byte
	var latencies []time.Duration
	commits := func(count, puts int) (rate, error) {
		latencies = latencies[:0]
		return measure(1, max(1, count), given.longest()/2, func(int) error {
			began := time.Now()
			for range puts {
				if err := put(ctx, writer, records.putKey(&key, written), records.value(written)); err != nil {
					return err
				}
				written++
			}
			err := writer.Flush(ctx)
			latencies = append(latencies, time.Since(began))
			return err
		})
	}
	measured := figures{}
	alone := min(durablePuts, given.Records)
	_, err := commits(min(durableWarmUp, alone), 1)
	if err == nil {
		_, err = commits(alone, 1)
	}
	if err == nil {
		measured["p50Ms"], measured["p99Ms"] = percentile(latencies, 50), percentile(latencies, 99)
	}
	for _, group := range durableGroups {
		if err != nil {
			break
		}
		var each rate
		each, err = commits(min(group.puts, given.Records)/group.clients, group.clients)
		if err == nil {
			clients := strconv.Itoa(group.clients)
			measured["per"+clients] = each.perSecond() * float64(group.clients)
			measured["p50Ms"+clients], measured["p99Ms"+clients] = percentile(latencies, 50), percentile(latencies, 99)
		}
	}
	return measured, written, errors.Join(err, end())
}
