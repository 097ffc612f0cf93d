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
    add_examples(&mut description);
    if let Some(Value::Object(paths)) = description.get_mut("paths") {
        let more: Vec<_> = paths.iter().filter_map(other_path).collect();
        paths.extend(more);
    }
    description.to_string()
}

/// An example of each call, by its operation id: parameters, body, status and answer. `tests/interfaces` makes these
/// calls in the order of the file, and compares the answers.
const EXAMPLES: &str = include_str!("examples.json");

/// Adds the example of each call.
fn add_examples(description: &mut Value) {
    // The file is JSON, and has each call: a test reads it.
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    for (_, calls) in paths {
        for (_, call) in calls.as_object_mut().into_iter().flatten() {
            let name = call["operationId"].as_str().unwrap_or_default();
            add_example(call, &examples[name]);
        }
    }
}

fn add_example(call: &mut Value, example: &Value) {
    let parameters = call.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let Some(value) = example["parameters"].get(name) {
            parameter["example"] = value.clone();
        }
    }
    let status = example["status"].as_u64().unwrap_or(200).to_string();
    for (part, place) in [
        ("body", "/requestBody/content/application~1json".to_owned()),
        (
            "answer",
            format!("/responses/{status}/content/application~1json"),
        ),
    ] {
        if let (Some(content), Some(value)) = (call.pointer_mut(&place), example.get(part)) {
            content["example"] = value.clone();
        }
    }
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
                in_path("fqn", "class", MAX_FQN, "app.Agent"),
                in_path("key", "key", MAX_KEY, "thread-7"),
            ],
        );
    }
    Some((other, calls))
}

/// The parameter of a path.
fn in_path(name: &str, what: &str, max: usize, example: &str) -> Value {
    let text = json!({"type": "string", "minLength": 1, "maxLength": max});
    json!({
        "name": name, "in": "path", "required": true, "schema": text, "example": example,
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
    fn every_call_has_an_example_of_what_it_sends_and_what_it_answers() {
        let description: Value = serde_json::from_str(&openapi()).unwrap();
        let paths = description["paths"].as_object().unwrap();
        for (name, call) in paths.values().flat_map(|it| it.as_object().unwrap()) {
            let answers = call["responses"].as_object().unwrap().iter();
            let success = answers.filter(|(status, _)| status.starts_with('2'));
            let answer = success.map(|(_, it)| it).next().unwrap();
            let body = call.get("requestBody");
            for part in body.into_iter().chain([answer]) {
                let content = &part["content"]["application/json"];
                assert!(!content["example"].is_null(), "{name} {}", call["summary"]);
            }
        }
    }

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
