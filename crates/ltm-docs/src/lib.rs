//! The descriptions of the interfaces, and the page at `/docs` that shows them, with all that it needs in this
//! binary.
//!
//! [`schemas`] and [`problems`] are what an OpenAPI description of the API is made of; [`asyncapi()`] describes the
//! WebSockets and Server-Sent Events. [`configure`] mounts both descriptions and the page.

mod asyncapi;
mod close;
mod page;
pub mod problems;
pub mod schemas;

use serde_json::{Number, Value};

pub use asyncapi::asyncapi;
pub use close::{CLOSES, Close};
pub use page::configure;

/// Says of whole numbers that are not negative how large they may be: the derived schemas say that they have 64 bits
/// and a sign.
pub fn widen(description: &mut Value) {
    match description {
        Value::Object(members) => {
            let unsigned = members.get("minimum").and_then(Value::as_i64) >= Some(0);
            if unsigned && members.get("format") == Some(&Value::from("int64")) {
                members.remove("format");
                let largest = Number::from(u64::MAX);
                members.entry("maximum").or_insert(largest.into());
            }
            members.values_mut().for_each(widen);
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}
