//! The OpenAPI and AsyncAPI documents, and the page at `/docs` that shows them. The binary contains all files of
//! the page.
//!
//! [`schemas`] and [`problems`] are parts of the API's OpenAPI document; [`asyncapi()`] describes WebSockets and
//! Server-Sent Events. [`configure`] mounts both documents and the page.

mod asyncapi;
mod close;
mod page;
pub mod problems;
pub mod schemas;

use serde_json::{Number, Value};

pub use asyncapi::asyncapi;
pub use close::{CLOSES, Close};
pub use page::configure;

/// Corrects the maximum of unsigned integers. The derived schemas describe them as signed 64-bit integers.
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
