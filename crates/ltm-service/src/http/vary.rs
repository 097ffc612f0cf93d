//! `Vary`: the request headers that an answer depends on.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, VARY};

/// Lets caches keep apart the answers to requests in which this header differs. All names are in one header, because some
/// clients read only the first.
pub(crate) fn vary_by(headers: &mut HeaderMap, name: HeaderName) {
    let known = headers.get_all(VARY);
    let known: Vec<&str> = known.filter_map(|it| it.to_str().ok()).collect();
    let mut names = known.iter().flat_map(|it| it.split(','));
    if names.any(|it| it.trim().eq_ignore_ascii_case(name.as_str())) {
        return;
    }
    let all = [&known[..], &[name.as_str()]].concat().join(", ");
    // Names of headers are ASCII.
    if let Ok(all) = HeaderValue::from_str(&all) {
        headers.insert(VARY, all);
    }
}
