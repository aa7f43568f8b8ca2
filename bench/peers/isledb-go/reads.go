package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ankur-anand/isledb"
)

const (
	// blockCacheBytes holds all that is loaded.
	blockCacheBytes = 2 << 30

	mostGets      = 200_000
	getsOfRecord  = 20
	uncachedGets  = 20_000
	getsInFlight  = 64
	shortScanRows = 10
	// Short scans of the two scenarios.
	shortScans       = 20_000
	shortScansOfScan = 10_000
	// scanTime is the least that scans of everything are repeated for.
	scanTime = time.Second
)

// withLoaded loads the records, and opens the database again for as long as use takes.
func withLoaded(ctx context.Context, given task, records *workload, use func(*isledb.DB) error) error {
	if err := load(ctx, given, records); err != nil {
		return err
	}
	progress(0.5)
	db, err := openDatabase(ctx, given)
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}

// reads measures gets and short scans of what is in memory, of what is not there, and of what is in files.
func reads(ctx context.Context, given task, records *workload) (figures, error) {
	gets := min(mostGets, getsOfRecord*given.Records)
	present := drawKeys(given, records, gets)
	absent := make([][]byte, gets)
	for i := range absent {
		absent[i] = records.putKey(new([keyBytes]byte), given.Records+i)
	}
	measured := figures{}
	return measured, withLoaded(ctx, given, records, func(db *isledb.DB) error {
		err := withReader(ctx, given, db, blockCacheBytes, func(reader *isledb.Reader) error {
			return readWarm(ctx, given, records, reader, present, absent, measured)
		})
		if err != nil {
			return err
		}
		progress(0.8)
		// Its tables are in files of its own, and those in the page cache; blocks are read from there each time.
		return withReader(ctx, given, db, 0, func(reader *isledb.Reader) error {
			few := present[:min(uncachedGets, len(present))]
			if err := verify(ctx, reader, records, given.Records); err != nil {
				return err
			}
			alone, err := getAll(ctx, given, reader, few, 1, true)
			if err != nil {
				return err
			}
			measured.put("uncached", alone)
			together, err := getAll(ctx, given, reader, few, getsInFlight, true)
			if err == nil {
				measured.put("uncached64", together)
			}
			return err
		})
	})
}

func readWarm(
	ctx context.Context,
	given task,
	records *workload,
	reader *isledb.Reader,
	present, absent [][]byte,
	measured figures,
) error {
	if err := verify(ctx, reader, records, given.Records); err != nil {
		return err
	}
	if _, err := getAll(ctx, given, reader, present, 1, true); err != nil {
		return err
	}
	cached, err := getAll(ctx, given, reader, present, 1, true)
	if err != nil {
		return err
	}
	measured.put("cached", cached)
	missing, err := getAll(ctx, given, reader, absent, 1, false)
	if err != nil {
		return err
	}
	measured.put("absent", missing)
	short, err := scanShortly(ctx, given, reader, present[:min(shortScans, len(present))])
	if err == nil {
		measured.put("scan10", short)
	}
	return err
}

// scan measures scans of everything, by rows and as one slice, and short ones. There is no reverse order.
func scan(ctx context.Context, given task, records *workload) (figures, error) {
	measured := figures{}
	return measured, withLoaded(ctx, given, records, func(db *isledb.DB) error {
		return withReader(ctx, given, db, blockCacheBytes, func(reader *isledb.Reader) error {
			byRow := func() (int, error) {
				return eachRow(ctx, reader, func(_, _ []byte) error { return nil })
			}
			asSlice := func() (int, error) {
				rows, err := reader.Scan(ctx, nil, nil)
				return len(rows), err
			}
			cold, err := scanAll(given, 0, asSlice)
			if err != nil {
				return err
			}
			measured.put("cold", cold)
			if err := verify(ctx, reader, records, given.Records); err != nil {
				return err
			}
			rows, err := scanAll(given, scanTime, byRow)
			if err != nil {
				return err
			}
			measured.put("rows", rows)
			slice, err := scanAll(given, scanTime, asSlice)
			if err != nil {
				return err
			}
			measured.put("batches", slice)
			progress(0.9)
			starts := drawKeys(given, records, min(shortScansOfScan, given.Records))
			short, err := scanShortly(ctx, given, reader, starts)
			if err == nil {
				measured.put("short", short)
			}
			return err
		})
	})
}

// drawKeys makes so many keys of records that there are, at random.
func drawKeys(given task, records *workload, count int) [][]byte {
	random := &seededRandom{state: given.Seed}
	keys := make([][]byte, count)
	for i := range keys {
		keys[i] = records.putKey(new([keyBytes]byte), random.below(float64(given.Records)))
	}
	return keys
}

// getAll fails unless all keys are found, or none of them where they are absent.
func getAll(ctx context.Context, given task, reader *isledb.Reader, keys [][]byte, clients int, isPresent bool) (rate, error) {
	return measure(clients, len(keys), given.longest(), func(i int) error {
		_, isFound, err := reader.Get(ctx, keys[i])
		if err == nil && isFound != isPresent {
			err = fmt.Errorf("found=%t of %q, which is there=%t", isFound, keys[i], isPresent)
		}
		return err
	})
}

// scanAll scans again and again until so much time has passed.
func scanAll(given task, atLeast time.Duration, scan func() (int, error)) (rate, error) {
	usage := startUsage()
	for done := 0; ; {
		rows, err := scan()
		if err == nil && rows != given.Records {
			err = fmt.Errorf("a scan gave %d rows, not %d", rows, given.Records)
		}
		done += rows
		if err != nil || time.Since(usage.started) >= atLeast {
			return usage.stop(done), err
		}
	}
}

func scanShortly(ctx context.Context, given task, reader *isledb.Reader, starts [][]byte) (rate, error) {
	return measure(1, len(starts), given.longest(), func(i int) error {
		rows, err := reader.ScanLimit(ctx, starts[i], nil, shortScanRows)
		if err == nil && len(rows) == 0 {
			err = fmt.Errorf("no row from %q on", starts[i])
		}
		return err
	})
}
