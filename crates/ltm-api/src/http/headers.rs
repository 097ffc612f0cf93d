//! The headers with the preconditions of a request.

use actix_web::{HttpRequest, http::header};
use ltm_service::ProblemResponse;
use ltm_store::ProducerEpoch;
use ltm_types::{Cursor, Problem, ProblemKind};

/// The largest epoch: Redis's scripts count exactly up to here.
const MAX_EPOCH: u64 = (1 << 53) - 1;

fn header<'a>(request: &'a HttpRequest, name: &str) -> Result<Option<&'a str>, ProblemResponse> {
    let Some(value) = request.headers().get(name) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| invalid(name, "must be plain ASCII text"))?;
    Ok(Some(text.trim()))
}

fn invalid(name: &str, detail: &str) -> ProblemResponse {
    Problem::new(ProblemKind::InvalidRequest, format!("{name} {detail}"))
        .with_field(name)
        .into()
}

/// The cursors that a tag header names; `None` if it is absent or `*`.
fn tags(request: &HttpRequest, name: &str) -> Result<Option<Vec<Cursor>>, ProblemResponse> {
    let Some(text) = header(request, name)?.filter(|text| *text != "*") else {
        return Ok(None);
    };
    let cursor = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let tag = tag
            .strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .unwrap_or(tag);
        tag.parse().map_err(|e| {
            Problem::new(ProblemKind::InvalidCursor, format!("{name}: {e}"))
                .with_field(name)
                .into()
        })
    };
    text.split(',')
        .map(cursor)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// `If-Match`: the cursors at which to write.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<Vec<Cursor>>, ProblemResponse> {
    tags(request, header::IF_MATCH.as_str())
}

/// `If-None-Match`: the cursors that the client has. A tag that is not a cursor matches nothing.
pub(crate) fn if_none_match(request: &HttpRequest) -> Vec<Cursor> {
    tags(request, header::IF_NONE_MATCH.as_str())
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// `Idempotency-Key`: 1 to 255 characters.
pub(crate) fn idempotency_key(request: &HttpRequest) -> Result<Option<&str>, ProblemResponse> {
    const NAME: &str = "Idempotency-Key";
    match header(request, NAME)? {
        Some(key) if key.is_empty() || key.len() > 255 => {
            Err(invalid(NAME, "must have 1 to 255 characters"))
        }
        key => Ok(key),
    }
}

/// `Ltm-Producer: name;epoch=7`.
pub(crate) fn producer(request: &HttpRequest) -> Result<Option<ProducerEpoch>, ProblemResponse> {
    const NAME: &str = "Ltm-Producer";
    let Some(text) = header(request, NAME)? else {
        return Ok(None);
    };
    let read = || {
        let (name, epoch) = text.split_once(';')?;
        let (name, epoch) = (name.trim(), epoch.trim().strip_prefix("epoch=")?);
        let named = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let epoch = epoch.parse().ok().filter(|epoch| *epoch <= MAX_EPOCH)?;
        named.then(|| ProducerEpoch {
            name: name.into(),
            epoch,
        })
    };
    let detail = "must be `name;epoch=7`: a name of 1 to 64 letters, digits, `.`, `_`, `-`, and an epoch up to 2^53-1";
    read().map(Some).ok_or_else(|| invalid(NAME, detail))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HttpRequest {
        TestRequest::default()
            .insert_header((name, value))
            .to_http_request()
    }

    #[test]
    fn a_producer_is_a_name_and_an_epoch() {
        let named = |text| producer(&with("Ltm-Producer", text)).map_err(|e| e.0.field);
        let engine = ProducerEpoch {
            name: "engine-1".into(),
            epoch: 7,
        };
        assert_eq!(named("engine-1;epoch=7"), Ok(Some(engine.clone())));
        assert_eq!(named("engine-1; epoch=7"), Ok(Some(engine)));
        for text in [
            "engine",
            "engine;epoch=",
            "engine;epoch=-1",
            ";epoch=1",
            "a b;epoch=1",
            "a;epoch=9007199254740992",
        ] {
            assert_eq!(named(text), Err(Some("Ltm-Producer".into())), "{text}");
        }
    }

    #[test]
    fn if_match_holds_cursors() {
        let cursor: Cursor = "3-5".parse().unwrap();
        for text in ["\"3-5\"", "3-5", "W/\"3-5\""] {
            assert_eq!(
                if_match(&with("If-Match", text)).unwrap(),
                Some(vec![cursor]),
                "{text}"
            );
        }
        assert_eq!(if_match(&with("If-Match", "*")).unwrap(), None);
        assert_eq!(
            if_match(&with("If-Match", "\"x\"")).unwrap_err().0.status,
            400
        );
    }
}
