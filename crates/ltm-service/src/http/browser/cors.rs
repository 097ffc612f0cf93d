//! The web pages of other origins that may call the service.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize};

/// The web pages of other origins that may call a service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// The origins of these pages, such as `https://app.example.com`, or `*` for every page. A page that the service
    /// itself serves may always call it, and so may a page on `localhost` if the service is on `localhost`, too. Every
    /// other page gets 403 `origin-forbidden`, for WebSockets and Server-Sent Events as well.
    ///
    /// Set it if your pages come from another origin than the service. With `*` and without authentication, every page
    /// that anybody opens can read, write and delete everything.
    pub origins: Origins,
}

/// The allowed origins: `*`, or exact ones such as `https://app.example.com`. Reads a list, or text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origins(Vec<String>);

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origin = |origin: String| origin.trim_end_matches('/').to_ascii_lowercase();
        let list = ltm_settings::list(deserializer)?;
        Ok(Self(list.into_iter().map(origin).collect()))
    }
}

impl Origins {
    /// Whether every page may call.
    pub(crate) fn include_all(&self) -> bool {
        self.0.iter().any(|allowed| allowed == "*")
    }

    /// Whether the setting names this origin.
    pub(crate) fn name(&self, origin: &str) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// The response headers that a page may read, besides those that every page may read.
const READABLE: HeaderValue =
    HeaderValue::from_static("etag, idempotent-replayed, link, ltm-incomplete, retry-after");
/// The methods that a page may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
/// The seconds for which a browser may keep the answer to a preflight request.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// Who sent a request, in the eyes of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// No page, or a page of the service's own origin.
    Own,
    /// A page of another origin, which may call.
    Other {
        origin: HeaderValue,
        /// Whether its calls may carry the cookies of a proxy that authenticates callers.
        cookies: bool,
    },
    /// Any page: every page may call.
    Any,
}

impl Page {
    /// Lets the page read the response (CORS).
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        let origin = match self {
            Self::Own => return,
            Self::Any => HeaderValue::from_static("*"),
            Self::Other { origin, cookies } => {
                if *cookies {
                    let yes = HeaderValue::from_static("true");
                    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
                }
                origin.clone()
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    }

    /// Answers a preflight request, which asks for these headers.
    pub(super) fn mark_preflight(&self, headers: &mut HeaderMap, asked: Option<HeaderValue>) {
        if *self == Self::Own {
            return;
        }
        self.mark(headers);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_a_list_or_text_with_commas() {
        let list: Origins =
            serde_json::from_str(r#"["https://a.example/", "http://B.example"]"#).unwrap();
        let text: Origins =
            serde_json::from_str(r#""https://a.example, http://b.example""#).unwrap();
        assert_eq!(list, text);
        assert!(text.name("https://a.example") && text.name("HTTP://b.example"));
        assert!(!text.name("https://a.example.evil") && !text.name("null"));
        assert!(!Origins::default().include_all() && !text.include_all());
        assert!(Origins(vec!["*".into()]).include_all());
    }
}
