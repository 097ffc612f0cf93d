//! The OpenAPI document, generated from the annotations on the calls.

use ltm_docs::schemas::Problem;
use ltm_types::{MAX_FQN, MAX_KEY};
use serde_json::{Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::formats::components;

use super::{
    calls::{
        append, copy, create,
        credentials::{revocations, ticket},
        delete, document, errors, list,
        rollbacks::{page, rollback},
        snapshots, state, wait,
    },
    path,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ltm-live",
        description = "Engines write the snapshots of LTMs, and clients read them. An error answer is a problem (RFC 9457); `type` \
            names its kind. HEAD gets the headers of GET on every path. WebSockets and Server-Sent Events deliver snapshots live: see `/docs/asyncapi.json`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        list::list,
        list::counts,
        create::create,
        document::document,
        delete::delete,
        copy::copy,
        append::append,
        snapshots::snapshots,
        state::state,
        wait::wait,
        rollback::rollback,
        page::rollbacks,
        errors::record,
        ticket::ticket,
        revocations::revoke,
        revocations::revocations,
        revocations::lift,
    ),
    components(schemas(Problem)),
    tags(
        (name = "LTMs", description = "Create, list, read, copy and delete LTMs"),
        (name = "History", description = "Read and write the history of an LTM"),
        (name = "Tickets", description = "Tickets for pages that follow"),
        (name = "Revocations", description = "Credentials that are no longer valid"),
    ),
    modifiers(&Tokens),
    security(("token" = []), ()),
)]
struct Description;

/// How a caller authenticates, if the service requires it.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let description = "A JWT or an API key, if the service requires one";
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// The document as JSON text.
pub(crate) fn openapi() -> String {
    let mut description = json!(Description::openapi());
    for (name, schema) in components() {
        description["components"]["schemas"][name] = schema;
    }
    ltm_docs::widen(&mut description);
    if let Some(Value::Object(paths)) = description.get_mut("paths") {
        let more: Vec<_> = paths.iter().filter_map(other_path).collect();
        paths.extend(more);
    }
    description.to_string()
}

/// The other path of a call that concerns an LTM: the same call, with class and key instead of the id. `x-same-as`
/// names the first path, so that a page need not show the call twice.
fn other_path((path, calls): (&String, &Value)) -> Option<(String, Value)> {
    let other = path::by_key(path)?;
    let mut calls = calls.clone();
    for call in calls.as_object_mut()?.values_mut() {
        call["x-same-as"] = path.as_str().into();
        let name = call["operationId"]
            .as_str()
            .map(|name| format!("{name}_by_key"));
        call["operationId"] = name.into();
        let parameters = call["parameters"].as_array_mut()?;
        parameters.retain(|it| it["in"] != "path");
        parameters.splice(
            0..0,
            [
                in_path("fqn", "class", MAX_FQN),
                in_path("key", "key", MAX_KEY),
            ],
        );
    }
    Some((other, calls))
}

/// The parameter of a path.
fn in_path(name: &str, what: &str, max: usize) -> Value {
    let text = json!({"type": "string", "minLength": 1, "maxLength": max});
    json!({
        "name": name, "in": "path", "required": true, "schema": text,
        "description": format!("The LTM's {what}, percent-encoded"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::http::ROUTES;

    #[test]
    fn every_call_is_described_and_nothing_else() {
        let description: Value = serde_json::from_str(&openapi()).unwrap();
        let described: BTreeSet<(String, String)> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, calls)| {
                let methods = calls.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let mounted = ROUTES.iter().flat_map(|it| {
            let paths = [Some(it.path.to_owned()), path::by_key(it.path)];
            let pairs = paths.into_iter().flatten();
            pairs.flat_map(|path| {
                let methods = it.allow.split(", ");
                methods.map(move |method| (path.clone(), method.to_owned()))
            })
        });
        assert_eq!(described, mounted.collect());
    }
}
