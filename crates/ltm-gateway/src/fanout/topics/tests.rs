//! A log that is deleted while a thread compares it with Redis.

use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_service::LimitsHit;
use ltm_state::State;

use super::*;
use crate::fanout::log_source::Heads;

const HEAD: Cursor = Cursor { seq: 2, check: 7 };

/// Its heads are read before the LTM is gone, and everything else after that.
struct Vanishing(fn(LtmId) -> StoreError);

impl Vanishing {
    fn gone<T>(&self, id: LtmId) -> LocalBoxFuture<'_, Result<T, StoreError>> {
        let error = self.0(id);
        async move { Err(error) }.boxed_local()
    }
}

impl LogSource for Vanishing {
    fn heads<'a>(&'a self, ids: &'a [LtmId]) -> LocalBoxFuture<'a, Result<Heads, StoreError>> {
        async move { Ok(ids.iter().map(|_| Ok(Some(HEAD))).collect()) }.boxed_local()
    }

    fn head(&self, id: LtmId) -> LocalBoxFuture<'_, Result<Cursor, StoreError>> {
        self.gone(id)
    }

    fn read_after(
        &self,
        id: LtmId,
        _: Cursor,
        _: WindowBounds,
    ) -> LocalBoxFuture<'_, Result<Read, StoreError>> {
        self.gone(id)
    }

    fn state(&self, id: LtmId) -> LocalBoxFuture<'_, Result<State, StoreError>> {
        self.gone(id)
    }
}

/// If the comparison fails, the thread logs a warning and compares again.
#[actix_web::test]
async fn an_ltm_that_is_deleted_during_a_comparison_is_no_failure() {
    let deleted = |id| StoreError::Deleted { id, cursor: HEAD };
    for gone in [StoreError::Unknown as fn(LtmId) -> StoreError, deleted] {
        let settings = GatewaySettings::default();
        let (live, _events, _source) = Live::without_listener(1);
        let topics = Topics::new(
            Arc::new(Vanishing(gone)),
            live,
            Rc::default(),
            Arc::new(PerLtmLimit::new(&settings, LimitsHit::default())),
            Tasks::default(),
            GatewayMetrics::new(),
            &settings,
        );
        let id = LtmId::new(1).unwrap();
        let handle = topics.follow(id).unwrap();
        let known = Cursor { seq: 1, check: 3 };
        assert!(!handle.topic.restart(None, Some(known), false));
        let before = handle.topic.head();
        assert_eq!(topics.refresh(&[id]).await, []);
        // Its subscribers ask the log, and hear of the end.
        let head = handle.topic.head();
        assert_eq!(head.cursor, None);
        assert_ne!(head.generation, before.generation);
    }
}
