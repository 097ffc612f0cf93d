//! A cache with a limit in bytes.

use std::{hash::Hash, sync::Arc};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// A cache whose values take at most a number of bytes. It drops the least used ones.
pub type ByteCache<K, V> = Cache<K, V, ByBytes>;

/// A value that knows what it takes in memory. That must not change while it is in a cache.
pub trait Bytes {
    /// Its bytes in memory, approximately.
    fn bytes(&self) -> u64;
}

impl<T: Bytes> Bytes for Arc<T> {
    fn bytes(&self) -> u64 {
        T::bytes(self)
    }
}

/// Weighs values by [`Bytes`].
#[derive(Clone)]
pub struct ByBytes;

impl<K, V: Bytes> Weighter<K, V> for ByBytes {
    fn weight(&self, _: &K, value: &V) -> u64 {
        value.bytes()
    }
}

/// A cache of `max_bytes`, with tables for `expected` values. It has one shard, because a value must fit into the part of
/// its shard.
pub fn byte_cache<K: Eq + Hash, V: Bytes + Clone>(
    max_bytes: u64,
    expected: usize,
) -> ByteCache<K, V> {
    #[expect(clippy::expect_used, reason = "both required options are given")]
    let options = OptionsBuilder::new()
        .estimated_items_capacity(expected)
        .weight_capacity(max_bytes)
        .shards(1)
        .build()
        .expect("both required options are given");
    Cache::with_options(
        options,
        ByBytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}
