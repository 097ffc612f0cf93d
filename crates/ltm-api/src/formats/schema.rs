//! The formats as JSON Schema.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{CONCURRENT_INSTANCES, Format, ITEM, Members, RETRY, STRUCTURE, TRANSITION};

macro_rules! markers {
    ($($name:ident)*) => {$(
        /// A format in the annotations of calls. Its schema is in [`components`].
        #[derive(ToSchema)]
        pub(crate) struct $name;
    )*};
}

markers! { Structure ConcurrentInstances Item Retry }

/// The formats that the OpenAPI document names.
static NAMED: [(&str, &Format); 5] = [
    ("Structure", &STRUCTURE),
    ("Transition", &TRANSITION),
    ("ConcurrentInstances", &CONCURRENT_INSTANCES),
    ("Item", &ITEM),
    ("Retry", &RETRY),
];

/// The schemas of the named formats, for the components of the OpenAPI document.
pub(crate) fn components() -> impl Iterator<Item = (&'static str, Value)> {
    NAMED.iter().map(|(name, format)| (*name, schema(format)))
}

/// The schema of a value in another one.
fn within(format: &'static Format) -> Value {
    let named = NAMED.iter().find(|(_, named)| std::ptr::eq(*named, format));
    match named {
        Some((name, _)) => json!({"$ref": format!("#/components/schemas/{name}")}),
        None => schema(format),
    }
}

fn schema(format: &'static Format) -> Value {
    match format {
        Format::Text => json!({"type": "string"}),
        Format::Bool => json!({"type": "boolean"}),
        Format::Any => json!({}),
        Format::Object => json!({"type": "object"}),
        Format::Params => json!({"type": ["array", "object", "boolean", "null"]}),
        Format::List(item) => json!({"type": "array", "items": within(item)}),
        Format::Each(member) => json!({"type": "object", "additionalProperties": within(member)}),
        Format::Members(members) => {
            let mut schema = of_members(members);
            schema["type"] = "object".into();
            schema
        }
        Format::Loose(members) => of_members(members),
    }
}

fn of_members(members: &'static Members) -> Value {
    let known = members.known.iter();
    let properties: Map<String, Value> = known
        .map(|(name, format)| ((*name).to_owned(), within(format)))
        .collect();
    let mut schema = json!({ "properties": properties });
    if !members.required.is_empty() {
        schema["required"] = json!(members.required);
    }
    schema
}
