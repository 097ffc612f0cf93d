//! What a client offers in its handshake, and what the gateway answers (RFC 7692 section 7.1).

use actix_web::http::header::{HeaderMap, SEC_WEBSOCKET_EXTENSIONS, USER_AGENT};

const NAME: &str = "permessage-deflate";
/// The window of a client that does not limit it.
const LARGEST_WINDOW: u8 = 15;
/// The smallest window for which messages can be compressed: there is no raw compressor for 8.
const SMALLEST_WINDOW: u8 = 9;

/// How messages to a client may be compressed. Messages of a client have no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// Whether a message may refer to earlier ones.
    pub takeover: bool,
    /// A reference goes back at most 2 to this power of bytes, if the client limits it.
    pub max_window_bits: Option<u8>,
}

impl Agreement {
    /// What the gateway agrees to of what the client offers; `None` if messages cannot be compressed.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok());
        if agent.is_some_and(inflates_wrongly) {
            return None;
        }
        let offers = headers.get_all(SEC_WEBSOCKET_EXTENSIONS);
        let offers = offers
            .map(|it| it.to_str().ok())
            .collect::<Option<Vec<_>>>()?;
        // A list in several headers is the same as in one (RFC 6455 section 9.1).
        let offers = parse(&offers.join(","))?;
        offers.iter().find_map(Self::accept)
    }

    /// How far back a reference may go, in bytes.
    pub(crate) fn reach(self) -> u64 {
        match self.max_window_bits {
            // The compressor goes back no further.
            None | Some(LARGEST_WINDOW..) => u64::MAX,
            Some(bits) => 1 << bits,
        }
    }

    /// The answer to the offer.
    pub(crate) fn answer(self) -> String {
        let mut answer = format!("{NAME}; client_no_context_takeover");
        if !self.takeover {
            answer.push_str("; server_no_context_takeover");
        }
        // Whoever accepts the parameter has to answer it, also if it changes nothing (RFC 7692 section 7.1.2.1).
        if let Some(bits) = self.max_window_bits {
            answer.push_str(&format!("; server_max_window_bits={bits}"));
        }
        answer
    }

    /// Accepts an offer whose parameters are all known and valid, each given once.
    fn accept(offer: &Offer) -> Option<Self> {
        let mut agreement = Self {
            takeover: true,
            max_window_bits: None,
        };
        if offer.name != NAME {
            return None;
        }
        for (number, (name, value)) in offer.parameters.iter().enumerate() {
            if offer.parameters[..number].iter().any(|(it, _)| it == name) {
                return None;
            }
            match (name.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) => agreement.takeover = false,
                ("server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value).filter(|it| *it >= SMALLEST_WINDOW)?;
                    agreement.max_window_bits = Some(bits);
                }
                ("client_no_context_takeover" | "client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(value)) => drop(window_bits(value)?),
                _ => return None,
            }
        }
        Some(agreement)
    }
}

fn window_bits(value: &str) -> Option<u8> {
    let is_number = value.bytes().all(|it| it.is_ascii_digit()) && !value.starts_with('0');
    let bits = value.parse().ok().filter(|_| is_number)?;
    (8..=LARGEST_WINDOW).contains(&bits).then_some(bits)
}

/// Whether this is the agent of a browser whose inflater fails: Safari 15.0 to 15.3, and everything on iOS 15.
fn inflates_wrongly(agent: &str) -> bool {
    let safari = agent.split_once(" Version/15.").is_some_and(|(_, rest)| {
        let minor = rest.split(['.', ' ']).next();
        rest.contains(" Safari/") && matches!(minor, Some("0" | "1" | "2" | "3"))
    });
    let ios = ["CPU OS 15_", "CPU iPhone OS 15_"];
    safari || ios.iter().any(|it| agent.contains(it))
}

/// An extension that a client offers, with its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// Reads a list of offers (RFC 6455 section 9.1); `None` if it is not well-formed.
fn parse(list: &str) -> Option<Vec<Offer>> {
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    let mut offers = Vec::new();
    while !rest.is_empty() {
        let mut offer = Offer {
            name: token(&mut rest)?,
            parameters: Vec::new(),
        };
        while skip(&mut rest, ';') {
            let name = token(&mut rest)?;
            let value = skip(&mut rest, '=').then(|| value(&mut rest));
            let value = match value {
                Some(value) => Some(value?),
                None => None,
            };
            offer.parameters.push((name, value));
        }
        offers.push(offer);
        if !rest.is_empty() && !skip(&mut rest, ',') {
            return None;
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    Some(offers)
}

/// Takes this character and the white space around it, if it comes next.
fn skip(rest: &mut &str, expected: char) -> bool {
    let Some(after) = rest.trim_start().strip_prefix(expected) else {
        return false;
    };
    *rest = after.trim_start();
    true
}

fn token(rest: &mut &str) -> Option<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after.trim_start();
    (!token.is_empty()).then(|| token.to_owned())
}

/// A token, or a token in quotes.
fn value(rest: &mut &str) -> Option<String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        return token(rest);
    };
    let (quoted, after) = quoted.split_once('"')?;
    *rest = after.trim_start();
    let mut inner = quoted;
    token(&mut inner).filter(|token| token == quoted)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn answer(offers: &[&str], agent: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_str(agent).unwrap());
        for offer in offers {
            let offer = HeaderValue::from_str(offer).unwrap();
            headers.append(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
        Agreement::of(&headers).map(Agreement::answer)
    }

    #[test]
    fn an_offer_is_answered_as_rfc_7692_says() {
        let plain = Some("permessage-deflate; client_no_context_takeover");
        let alone =
            Some("permessage-deflate; client_no_context_takeover; server_no_context_takeover");
        let full =
            Some("permessage-deflate; client_no_context_takeover; server_max_window_bits=15");
        let small =
            Some("permessage-deflate; client_no_context_takeover; server_max_window_bits=10");
        for (offer, expected) in [
            ("permessage-deflate", plain),
            // Browsers; the smallest window for what the client sends is no trouble.
            ("permessage-deflate; client_max_window_bits", plain),
            ("permessage-deflate; client_max_window_bits=8", plain),
            ("permessage-deflate;client_no_context_takeover", plain),
            ("permessage-deflate; server_max_window_bits=15", full),
            ("permessage-deflate; server_max_window_bits=10", small),
            ("permessage-deflate; server_max_window_bits=\"10\"", small),
            ("permessage-deflate ; server_max_window_bits = 10", small),
            ("permessage-deflate; server_no_context_takeover", alone),
            // Declined: there is no compressor for such a window; wrong values; twice; unknown.
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=7", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=010", None),
            ("permessage-deflate; server_max_window_bits=+10", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; client_max_window_bits=16", None),
            ("permessage-deflate; client_max_window_bits=\"\"", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; client_no_context_takeover=true", None),
            (
                "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
                None,
            ),
            ("permessage-deflate; level=9", None),
            ("x-webkit-deflate-frame", None),
            ("permessage-bzip2, x", None),
            // The first that can be accepted.
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate",
                plain,
            ),
            (
                "x; y=\"1\", permessage-deflate, permessage-deflate; server_no_context_takeover",
                plain,
            ),
            (", ,permessage-deflate,", plain),
            // Not well-formed.
            ("permessage-deflate;", None),
            ("permessage-deflate; =1", None),
            ("permessage-deflate; server_max_window_bits=\"10", None),
            ("permessage-deflate x", None),
            ("permessage-deflate, \u{1}", None),
            ("", None),
        ] {
            if HeaderValue::from_str(offer).is_err() {
                continue;
            }
            assert_eq!(answer(&[offer], "x").as_deref(), expected, "{offer}");
        }
        assert_eq!(answer(&[], "x"), None);
        let several = ["x", "permessage-deflate; server_max_window_bits=10"];
        assert_eq!(answer(&several, "x").as_deref(), small);
    }

    #[test]
    fn browsers_whose_inflater_fails_get_plain_messages() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 15_6 like Mac OS X) AppleWebKit/605.1.15";
        let offer = &["permessage-deflate; client_max_window_bits"];
        for (agent, compresses) in [
            (format!("{mac} Version/15.0 Safari/605.1.15"), false),
            (format!("{mac} Version/15.3.1 Safari/605.1.15"), false),
            (format!("{mac} Version/15.4 Safari/605.1.15"), true),
            (format!("{mac} Version/16.0 Safari/605.1.15"), true),
            (format!("{mac} Version/14.1 Safari/605.1.15"), true),
            (format!("{mac} Chrome/150.0.0.0 Safari/537.36"), true),
            (
                format!("{ios} CriOS/99.0 Mobile/15E148 Safari/604.1"),
                false,
            ),
            (ios.replace("15_6", "16_0"), true),
        ] {
            assert_eq!(answer(offer, &agent).is_some(), compresses, "{agent}");
        }
    }
}
