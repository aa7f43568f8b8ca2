package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
)

// The records of bench/workload.ts, byte for byte: the harness sends a digest of its own, and this program refuses to
// measure others.
const (
	keyBytes       = 16
	preparedValues = 8_192
	jsonBytesMin   = 80
	hexDigits      = "0123456789abcdef"
)

type workload struct {
	seed   uint32
	values [][]byte
}

func newWorkload(seed uint32, valueBytes int) *workload {
	random := &seededRandom{state: seed}
	values := make([][]byte, preparedValues)
	for i := range values {
		text := jsonText(random)
		for len(text)+jsonBytesMin <= valueBytes {
			text += jsonText(random)
		}
		// A shorter rest is filled with spaces.
		values[i] = fmt.Appendf(nil, "%-*s", valueBytes, text)[:valueBytes]
	}
	return &workload{seed: mix(seed), values: values}
}

// putKey makes the key of record i in place; two keys are never alike.
func (w *workload) putKey(key *[keyBytes]byte, i int) []byte {
	high := mix(uint32(i) ^ w.seed)
	putHex(key[:8], high)
	putHex(key[8:], mix(high^0x5bd1e995))
	return key[:]
}

func (w *workload) value(i int) []byte {
	return w.values[i&(preparedValues-1)]
}

// digest is of all values that there are, and of as many keys.
func (w *workload) digest(records int) string {
	hash := sha256.New()
	var key [keyBytes]byte
	for i := range min(records, preparedValues) {
		hash.Write(w.putKey(&key, i))
		hash.Write(w.value(i))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// mix is MurmurHash3's finalizer: a bijection of 32-bit integers.
func mix(value uint32) uint32 {
	value = (value ^ value>>16) * 0x85ebca6b
	value = (value ^ value>>13) * 0xc2b2ae35
	return value ^ value>>16
}

func putHex(to []byte, value uint32) {
	for at := 7; at >= 0; at-- {
		to[at] = hexDigits[value&15]
		value >>= 4
	}
}

func jsonText(random *seededRandom) string {
	name := "user " + strconv.Itoa(random.below(1e6))
	score := strconv.FormatFloat(float64(random.below(1e8))/1e4, 'f', -1, 64)
	id := random.below(1e9)
	return fmt.Sprintf(`{"id":%d,"name":"%s","score":%s,"tags":["alpha","beta"],"active":%t}`,
		id, name, score, random.next() < 0.5)
}

// seededRandom is the generator of src/host/random.ts: mulberry32 (Tommy Ettinger, public domain).
type seededRandom struct {
	state uint32
}

// next is uniform in [0, 1).
func (r *seededRandom) next() float64 {
	r.state += 0x6d2b79f5
	mixed := (r.state ^ r.state>>15) * (1 | r.state)
	mixed = (mixed + (mixed^mixed>>7)*(61|mixed)) ^ mixed
	return float64(mixed^mixed>>14) / (1 << 32)
}

func (r *seededRandom) below(bound float64) int {
	return int(math.Floor(r.next() * bound))
}
