//! What each worker says of its PHP in its first cells, so that metrics cost no message: numbers in floating point, at
//! these indices.

/// Bytes that PHP uses.
pub const MEMORY: usize = 1;
/// The most that it has used.
pub const PEAK: usize = 2;
/// Runs of the garbage collector.
pub const GC_RUNS: usize = 3;
/// Cycles that it has collected.
pub const GC_COLLECTED: usize = 4;
/// When the worker looked at OPcache last, in seconds since 1970; 0: never, or there is none.
pub const OPCACHE_SEEN: usize = 5;
/// Hits of OPcache, which all workers of a generation share.
pub const OPCACHE_HITS: usize = 6;
/// Its misses.
pub const OPCACHE_MISSES: usize = 7;
/// Bytes of its memory in use.
pub const OPCACHE_USED: usize = 8;
/// Bytes of its memory that are free.
pub const OPCACHE_FREE: usize = 9;
/// Bytes of its memory that are lost until it restarts.
pub const OPCACHE_WASTED: usize = 10;
/// Scripts in it.
pub const OPCACHE_SCRIPTS: usize = 11;
/// Its restarts.
pub const OPCACHE_RESTARTS: usize = 12;

/// Cells that are not free for other use.
pub const RESERVED: usize = 32;
