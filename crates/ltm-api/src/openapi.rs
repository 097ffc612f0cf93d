//! The description of the calls, from what stands beside them.

use ltm_docs::schemas::Problem;
use serde_json::json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::{
    append, copy, create, delete, document, errors, list, rollback, snapshots, state, ticket,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ltm-live",
        description = "Takes the snapshots of LTMs from the engines that run them, and tells what is known of them. An answer that is \
            no success is a problem (RFC 9457); `type` names its kind. What happens to an LTM is told live by WebSockets and \
            Server-Sent Events: see `/docs/asyncapi.json`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        list::list,
        create::create,
        document::document,
        delete::delete,
        copy::copy,
        append::append,
        snapshots::snapshots,
        state::state,
        rollback::rollback,
        errors::record,
        ticket::ticket,
    ),
    components(schemas(Problem)),
    tags(
        (name = "LTMs", description = "What there is"),
        (name = "History", description = "What happened to one, and writing to it"),
        (name = "Tickets", description = "For pages that follow"),
    ),
    modifiers(&Tokens),
    security(("token" = []), ()),
)]
struct Description;

/// How a caller says who they are, where that is asked for.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let description = "A JWT or an API key, where the service asks for one";
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// The description as JSON.
pub(crate) fn openapi() -> String {
    let mut description = json!(Description::openapi());
    ltm_docs::widen(&mut description);
    description.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::PATHS;

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
        let mounted = PATHS.iter().flat_map(|it| {
            let methods = it.allow.split(", ");
            methods.map(|method| (it.path.to_owned(), method.to_owned()))
        });
        assert_eq!(described, mounted.collect());
    }
}
