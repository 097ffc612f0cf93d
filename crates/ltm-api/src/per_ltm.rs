//! What the requests for one LTM share while they are under way.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ltm_types::LtmId;

/// A value for each LTM that requests are for.
#[derive(Default)]
pub(crate) struct PerLtm<T> {
    all: Arc<All<T>>,
}

type All<T> = Mutex<HashMap<LtmId, Counted<T>>>;

struct Counted<T> {
    requests: usize,
    value: Arc<T>,
}

/// The value of an LTM, which one request uses. The last one forgets the value.
pub(crate) struct InUse<T> {
    all: Arc<All<T>>,
    id: LtmId,
    value: Arc<T>,
}

impl<T: Default> PerLtm<T> {
    /// The value of this LTM. It is new if no other request uses it.
    pub(crate) fn of(&self, id: LtmId) -> InUse<T> {
        let mut all = lock(&self.all);
        let counted = all.entry(id).or_insert_with(|| Counted {
            requests: 0,
            value: Arc::default(),
        });
        counted.requests += 1;
        InUse {
            all: self.all.clone(),
            id,
            value: counted.value.clone(),
        }
    }
}

impl<T> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for InUse<T> {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        let Some(counted) = all.get_mut(&self.id) else {
            return;
        };
        counted.requests -= 1;
        if counted.requests == 0 {
            all.remove(&self.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
