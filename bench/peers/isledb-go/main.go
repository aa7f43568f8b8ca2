// Command isledb-go runs one case of the benchmark with IsleDB for Go: its loops run where the engine runs, so that no pipe
// is measured with it.
//
// It reads one task as JSON from its standard input, and writes lines of JSON: {"done":0.5} now and then, and {"figures":{…}}
// in the end. What fails is told on standard error, with an exit code of 1. Figures have the names that bench/scenarios give
// them. What was written is read back and compared before any figure is told.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// task is what bench/engines/isledb-go.ts sends.
type task struct {
	Scenario string `json:"scenario"`
	// Directory is there, and empty.
	Directory string `json:"directory"`
	// Compression is none or snappy.
	Compression string  `json:"compression"`
	Records     int     `json:"records"`
	ValueBytes  int     `json:"valueBytes"`
	Seed        uint32  `json:"seed"`
	Seconds     float64 `json:"seconds"`
	// Mode is put or durable: of ingest.
	Mode           string `json:"mode"`
	IsUnmaintained bool   `json:"isUnmaintained"`
	// Digest is of the first records, as the harness makes them.
	Digest string `json:"digest"`
}

// figures by name.
type figures map[string]float64

var scenarios = map[string]func(context.Context, task, *workload) (figures, error){
	"ingest": ingest,
	"reads":  reads,
	"scan":   scan,
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "isledb-go:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var given task
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	measure := scenarios[given.Scenario]
	if measure == nil {
		return fmt.Errorf("there is no %q among the scenarios of this program", given.Scenario)
	}
	records := newWorkload(given.Seed, given.ValueBytes)
	if digest := records.digest(given.Records); digest != given.Digest {
		return fmt.Errorf("the records are not those of the harness: their digest is %s, not %s", digest, given.Digest)
	}
	measured, err := measure(ctx, given, records)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]figures{"figures": measured})
}

// progress tells which part of the case is done, 0 to 1.
func progress(done float64) {
	fmt.Printf("{\"done\":%.3f}\n", done)
}

// longest is the longest time of one measurement.
func (given task) longest() time.Duration {
	return time.Duration(given.Seconds * float64(time.Second))
}
