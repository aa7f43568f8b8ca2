package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"

	"github.com/ankur-anand/isledb"
)

const (
	// bulkMemtableBytes makes one table of a bulk load, as the harness asks of engines.
	bulkMemtableBytes = 256 << 20
	// maxValueBytes is the largest value of the harness. A memtable has room for one more value of the largest size: with the
	// default, 16 MiB, each takes twice the memory, which is cleared every time.
	maxValueBytes = 64 << 10
)

// openDatabase opens the one in the directory of the task. Files are written beside their final names (elsewhere may be
// another file system), and without a second file of attributes for each: a read that comes while that one is written fails.
func openDatabase(ctx context.Context, given task) (*isledb.DB, error) {
	bucket := filepath.Join(given.Directory, "bucket")
	if err := os.MkdirAll(bucket, 0o755); err != nil {
		return nil, err
	}
	encoding := isledb.SSTEncodingOptions{Compression: given.Compression}
	return isledb.Open(ctx, "file://"+bucket+"?no_tmp_dir=true&metadata=skip", isledb.DBOptions{
		Prefix:    "db",
		SSTOutput: isledb.SSTOutputOptions{L0: encoding, Compacted: encoding},
	})
}

// writerOptions are the defaults, and nothing is flushed until it is asked for.
func writerOptions() isledb.WriterOptions {
	options := isledb.DefaultWriterOptions()
	options.Flush.Interval = 0
	options.Values.MaxValueBytes = maxValueBytes
	return options
}

// put flushes where the writer says that too much is pending, as its documentation says.
func put(ctx context.Context, writer *isledb.Writer, key, value []byte) error {
	err := writer.Put(ctx, key, value)
	if !errors.Is(err, isledb.ErrBackpressure) {
		return err
	}
	if err := writer.Flush(ctx); err != nil {
		return err
	}
	return writer.Put(ctx, key, value)
}

// load writes all records, in one table or a few.
func load(ctx context.Context, given task, records *workload) error {
	db, err := openDatabase(ctx, given)
	if err != nil {
		return err
	}
	return errors.Join(loadInto(ctx, db, given, records), db.Close())
}

func loadInto(ctx context.Context, db *isledb.DB, given task, records *workload) error {
	options := writerOptions()
	options.Memtable.TargetBytes = bulkMemtableBytes
	writer, err := db.OpenWriter(ctx, options)
	if err != nil {
		return err
	}
	var key [keyBytes]byte
	for i := range given.Records {
		if err := put(ctx, writer, records.putKey(&key, i), records.value(i)); err != nil {
			return errors.Join(err, writer.Close(ctx))
		}
	}
	return writer.Close(ctx)
}

// withReader opens a reader, whose blocks have so much memory, for as long as use takes.
func withReader(
	ctx context.Context,
	given task,
	db *isledb.DB,
	blockCacheBytes int64,
	use func(*isledb.Reader) error,
) error {
	options := isledb.DefaultReaderOpenOptions(filepath.Join(given.Directory, "cache"))
	options.BlockCacheSize = blockCacheBytes
	reader, err := db.OpenReader(ctx, options)
	if err != nil {
		return err
	}
	return errors.Join(use(reader), reader.Close())
}

// verify reads all rows, and holds their number, order and content against records [0, count).
func verify(ctx context.Context, reader *isledb.Reader, records *workload, count int) error {
	seed := maphash.MakeSeed()
	sumOf := func(key, value []byte) uint64 {
		var hash maphash.Hash
		hash.SetSeed(seed)
		hash.Write(key)
		hash.Write(value)
		return hash.Sum64()
	}
	var key [keyBytes]byte
	var last []byte
	var expected, sum uint64
	for i := range count {
		expected += sumOf(records.putKey(&key, i), records.value(i))
	}
	rows, err := eachRow(ctx, reader, func(key, value []byte) error {
		if bytes.Compare(key, last) <= 0 {
			return fmt.Errorf("%q comes behind %q", key, last)
		}
		last = append(last[:0], key...)
		sum += sumOf(key, value)
		return nil
	})
	if err == nil && (rows != count || sum != expected) {
		err = fmt.Errorf("of %d records that were written %d were read, or others", count, rows)
	}
	return err
}

// eachRow is a scan of everything; it returns how many rows there are.
func eachRow(ctx context.Context, reader *isledb.Reader, each func(key, value []byte) error) (count int, err error) {
	rows, err := reader.NewIterator(ctx, isledb.IteratorOptions{})
	if err != nil {
		return 0, err
	}
	for err == nil && rows.Next() {
		err = each(rows.Key(), rows.Value())
		count++
	}
	return count, errors.Join(err, rows.Err(), rows.Close())
}
