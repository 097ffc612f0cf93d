//! A gateway at another URL than the page.

/// A gateway that is not at the URL of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its URL, with a slash at the end. It contains no character that HTML or a header treats specially.
    pub url: String,
    /// The origin of its HTTP: `http://127.0.0.1:8001`.
    pub origin: String,
    /// The origin of its WebSockets: `ws://127.0.0.1:8001`.
    pub socket_origin: String,
}
