//! The origins of web pages that may use the service from a browser.

use actix_cors::Cors;
use actix_web::http::header;
use serde::{Deserialize, Deserializer, Serialize};

/// The web pages that may use a service from a browser.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// The origins of these pages, such as `https://app.example.com`, or `*` for every page. It also decides which
    /// pages may open a WebSocket.
    ///
    /// Set it to the origins of your pages if a browser can reach the service.
    pub origins: Origins,
}

/// The allowed origins: `*`, or exact ones such as `https://app.example.com`. Reads a list, or text with commas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origins(Vec<String>);

impl Default for Origins {
    fn default() -> Self {
        Self(vec!["*".into()])
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origin = |origin: String| origin.trim_end_matches('/').to_ascii_lowercase();
        let list = ltm_settings::list(deserializer)?;
        Ok(Self(list.into_iter().map(origin).collect()))
    }
}

impl Origins {
    /// Whether a page of this origin may use the service.
    pub fn allow(&self, origin: &str) -> bool {
        self.0
            .iter()
            .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }

    /// The middleware that answers preflight requests, and adds the headers that let such pages read responses.
    pub(crate) fn middleware(&self) -> Cors {
        let origins = self.clone();
        Cors::default()
            .allowed_origin_fn(move |origin, _| {
                origin.to_str().is_ok_and(|origin| origins.allow(origin))
            })
            .allow_any_method()
            .allow_any_header()
            .supports_credentials()
            .expose_headers([header::ETAG, header::LINK, header::RETRY_AFTER])
            .max_age(600)
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
        assert!(text.allow("https://a.example") && text.allow("HTTP://b.example"));
        assert!(!text.allow("https://a.example.evil") && !text.allow("null"));
        assert!(Origins::default().allow("null"));
    }
}
