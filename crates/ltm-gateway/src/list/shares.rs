//! How many lists each caller follows, so that one caller cannot use up the lists of a gateway.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ltm_service::LimitsHit;

use crate::subscriber::close::CloseCause;

/// By caller and list, the number of subscribers.
type Held<K> = HashMap<String, HashMap<K, usize>>;

/// The lists that each caller follows.
pub(crate) struct CallerShares<K> {
    /// 0: no limit.
    max: usize,
    held: Arc<Mutex<Held<K>>>,
    limits: LimitsHit,
}

/// A list that a caller follows, until this is dropped.
pub(crate) struct Share<K: Eq + Hash> {
    held: Arc<Mutex<Held<K>>>,
    caller: String,
    key: K,
}

impl<K: Eq + Hash + Clone> CallerShares<K> {
    pub(crate) fn new(max: usize, limits: LimitsHit) -> Self {
        Self {
            max,
            held: Arc::default(),
            limits,
        }
    }

    /// Lets a caller follow a list. Another subscriber of the same caller at the same list takes no more.
    ///
    /// # Errors
    ///
    /// [`CloseCause::OverLimit`] if the caller follows as many lists as one may.
    pub(crate) fn take(&self, caller: String, key: K) -> Result<Share<K>, CloseCause> {
        let mut held = lock(&self.held);
        let lists = held.entry(caller.clone()).or_default();
        let max = self.max;
        if max > 0 && lists.len() >= max && !lists.contains_key(&key) {
            self.limits.hit("gateway.max_lists_per_caller");
            let text = format!("this caller follows {max} lists (gateway.max_lists_per_caller)");
            return Err(CloseCause::OverLimit(text));
        }
        *lists.entry(key.clone()).or_default() += 1;
        Ok(Share {
            held: self.held.clone(),
            caller,
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        let Some(lists) = held.get_mut(&self.caller) else {
            return;
        };
        if let Some(count) = lists.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                lists.remove(&self.key);
            }
        }
        if lists.is_empty() {
            held.remove(&self.caller);
        }
    }
}

fn lock<K>(held: &Mutex<Held<K>>) -> MutexGuard<'_, Held<K>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
