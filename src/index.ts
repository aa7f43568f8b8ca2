/** The public API, by name. */
export type { CustomEncoding, Decoded, Encodable, Encoding, EncodingName } from './bytes/encoding.ts'
export {
	type Compactor,
	type CompactorOptions,
	type CompactorStats,
	openCompactor,
	openRetentionCompactor,
	type RetentionCompactorOptions,
} from './compactor.ts'
export { type Database, type DatabaseStats, type OpenOptions, open } from './database.ts'
export { type DatabaseReader, type DatabaseReaderStats, openReader } from './database-reader.ts'
export { IsleError, type IsleErrorCode, isIsleError } from './errors.ts'
export type { Clock, Timer } from './host/clock.ts'
export type { Host } from './host/host.ts'
export type { Random } from './host/random.ts'
export type { MaintenanceMemory } from './maintenance/maintainer-parts.ts'
export type { MaintainerStatus } from './maintenance/maintainer-status.ts'
export type {
	CollectionEvent,
	MaintainerState,
	MaintenanceEvent,
	QuarantineEvent,
	ReportedError,
	StateEvent,
	WorkEvent,
} from './maintenance/maintenance-event.ts'
export type { AgeRetention, CompactionOptions, MaintenanceOptions, TimeWindowRetention } from './maintenance/options.ts'
export type { ResidentStatus } from './maintenance/resident-maintenance.ts'
export type { RunOnceOptions, RunReport } from './maintenance/run-demand.ts'
export type { RunningWork } from './maintenance/running-work.ts'
export type { WorkTotals } from './maintenance/work-totals.ts'
export type { RequestCount, RequestSnapshot } from './object-store/counting-store.ts'
export type {
	Body,
	ByteRange,
	CreateOutcome,
	ListOptions,
	ListPage,
	ObjectInfo,
	ObjectStore,
	RangeRequestOptions,
	RequestOptions,
} from './object-store/object-store.ts'
export { type OpenStoreOptions, openStore } from './object-store/open-store.ts'
export type { OperationStats, OriginCounts } from './object-store/operation-counts.ts'
export { probeStore } from './object-store/store-probe.ts'
export type { Explanation } from './reader/explain.ts'
export type { FreshRangeOptions, FreshReadOptions } from './reader/freshness.ts'
export type { RangeOptions } from './reader/key-range.ts'
export type { OperationKind } from './reader/operations.ts'
export type { Pin, PinOptions } from './reader/pin.ts'
export type { PinInfo } from './reader/pins.ts'
export type { PrefetchOptions, PrefetchProgress, PrefetchResult } from './reader/prefetch.ts'
export type { ReadOptions } from './reader/read-core.ts'
export type { PrefetchRange } from './reader/read-methods.ts'
export type { ReadStats } from './reader/read-stats.ts'
export type { ReaderStats } from './reader/reader.ts'
export type { OpenReaderOptions } from './reader/reader-parts.ts'
export type { Scan } from './reader/scan.ts'
export type { Snapshot } from './reader/snapshot.ts'
export type { StreamOptions } from './reader/value-stream.ts'
export { createInlinePool } from './runtime/inline-pool.ts'
export type { JobPool, JobPoolStats } from './runtime/job-pool.ts'
export { acquireWorkerPool, type WorkerPoolOptions } from './runtime/worker-pool.ts'
export type { CodecName } from './sst/sst-meta.ts'
export type { Change, DeleteChange, LargePutChange, PutChange } from './tail/change.ts'
export type { Changes } from './tail/change-iterator.ts'
export type { CheckpointStore, ConsumeOptions, Consumption } from './tail/consume.ts'
export { fileCheckpoint } from './tail/file-checkpoint.ts'
export { type MapAsyncOptions, mapAsync } from './tail/observable.ts'
export type { TailFrom, TailOptions } from './tail/tail-options.ts'
export type { TailConsumeOptions, TailStats } from './tail/tails.ts'
export type { PastPoint } from './time-travel.ts'
export { type Batch, type DatabaseWriter, type OpenWriterOptions, openWriter } from './writer/database-writer.ts'
export type { Durability, WriterOptions } from './writer/options.ts'
export type { WriteOptions, WriterStats } from './writer/writer.ts'
