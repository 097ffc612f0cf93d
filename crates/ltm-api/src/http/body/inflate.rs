//! Compressed bodies of requests (RFC 9110 section 8.4).

use std::io::Write;

use actix_web::{HttpRequest, http::header};
use flate2::write::MultiGzDecoder;
use ltm_service::ProblemResponse;
use ltm_types::{Problem, ProblemKind, shorten};

/// How many bytes are inflated at once. They can become a thousand times as many.
pub(super) const SLICE: usize = 1024;

/// A body that arrives compressed.
pub(super) struct Inflate(MultiGzDecoder<Vec<u8>>);

impl Inflate {
    /// What inflates the body of this request; `None` if it is not compressed.
    pub(super) fn of(request: &HttpRequest) -> Result<Option<Self>, ProblemResponse> {
        let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
        let Some(coding) = codings.next() else {
            return Ok(None);
        };
        let coding = coding.to_str().unwrap_or("(not text)").trim();
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        match codings.next() {
            None if coding.is_empty() || is("identity") => Ok(None),
            None if is("gzip") || is("x-gzip") => Ok(Some(Self(MultiGzDecoder::new(Vec::new())))),
            _ => {
                let detail = format!(
                    "the body is declared as compressed with {:?}; send it with gzip, or uncompressed",
                    shorten(coding)
                );
                Err(Problem::new(ProblemKind::UnsupportedMediaType, detail)
                    .with_field(header::CONTENT_ENCODING.as_str())
                    .into())
            }
        }
    }

    /// Inflates at most [`SLICE`] bytes. Returns what they become, as far as it is known.
    pub(super) fn inflate(&mut self, slice: &[u8]) -> Result<Vec<u8>, ProblemResponse> {
        self.0.write_all(slice).map_err(|e| malformed(&e))?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// The last bytes of the body.
    pub(super) fn finish(self) -> Result<Vec<u8>, ProblemResponse> {
        self.0.finish().map_err(|e| malformed(&e))
    }
}

fn malformed(error: &std::io::Error) -> ProblemResponse {
    let detail = format!("the body is declared as gzip, and is not: {error}");
    Problem::new(ProblemKind::InvalidRequest, detail)
        .with_field(header::CONTENT_ENCODING.as_str())
        .into()
}
