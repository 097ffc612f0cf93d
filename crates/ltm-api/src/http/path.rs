//! The LTM in a path, by its id, or by its class and key. `authorize` looks the key up before the call.

use actix_web::{HttpMessage, HttpRequest};
use ltm_service::{ProblemResponse, ltm_in_path};
use ltm_store::{Store, StoreError};
use ltm_types::{LtmId, LtmRef, Problem};

/// What stands for `{id}` in the other path of a call.
pub(super) const BY_KEY: &str = "by-key/{fqn}/{key}";

/// The other path of a call that concerns an LTM: with class and key instead of the id.
pub(super) fn by_key(path: &str) -> Option<String> {
    path.contains("{id}").then(|| path.replace("{id}", BY_KEY))
}

/// The outcome of looking up the key in a path.
#[derive(Clone)]
struct LookedUp(Result<LtmId, Problem>);

/// Looks up the key in the path, if there is one. A key that no LTM has is an error of the call, not of its path.
pub(super) async fn look_up(request: &HttpRequest, store: &Store) {
    if let Ok(LtmRef::Key(key)) = ltm_in_path(request) {
        let found = store.id_of(&key).await;
        let found = found.map_err(|error| ProblemResponse::from(error).0);
        request.extensions_mut().insert(LookedUp(found));
    }
}

/// The id of the LTM in the path.
pub(crate) fn ltm_id(request: &HttpRequest) -> Result<LtmId, ProblemResponse> {
    if let Some(LookedUp(found)) = request.extensions().get() {
        return found.clone().map_err(ProblemResponse);
    }
    match ltm_in_path(request)? {
        LtmRef::Id(id) => Ok(id),
        LtmRef::Key(key) => Err(StoreError::UnknownKey(key).into()),
    }
}
