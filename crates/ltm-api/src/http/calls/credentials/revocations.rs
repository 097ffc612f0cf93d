//! `/revocations`: credentials that are no longer valid. They end what they opened, at every gateway.

use actix_web::{HttpRequest, HttpResponse, web};
use ltm_auth::{Revocable, Revocation};
use ltm_docs::problems::{ListProblems, RevokeProblems};
use ltm_service::{Parameters, ProblemResponse};
use ltm_types::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Api,
    http::{authorize, body, problem::invalid},
};

/// A credential to revoke: exactly one of `jti`, `sub` and `api_key`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Revoke, example = json!({"api_key": "engine-1"}))]
struct RevokeBody {
    /// The `jti` of a JWT.
    jti: Option<String>,
    /// The `sub` of JWTs: all of them, also those that are issued later.
    sub: Option<String>,
    /// The name of an API key.
    api_key: Option<String>,
    /// When it is valid again, in seconds since 1970, like `exp` of a JWT. Default: never.
    until: Option<u64>,
}

/// The credential that a call names.
struct Named {
    jti: Option<String>,
    sub: Option<String>,
    api_key: Option<String>,
}

/// A credential that is not valid.
#[derive(Serialize, ToSchema)]
struct Revoked {
    /// The `jti` of a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jti: Option<String>,
    /// The `sub` of JWTs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub: Option<String>,
    /// The name of an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    api_key: Option<String>,
    /// When it is valid again, in seconds since 1970; null: never.
    #[schema(required = true)]
    until: Option<u64>,
}

/// The answer to the end of a revocation.
#[derive(Serialize, ToSchema)]
struct Lifted {
    /// Whether the credential was revoked.
    lifted: bool,
}

impl Named {
    fn revocable(self) -> Result<Revocable, ProblemResponse> {
        let Self { jti, sub, api_key } = self;
        let (field, revocable) = match (jti, sub, api_key) {
            (Some(jti), None, None) => ("jti", Revocable::Jti(jti)),
            (None, Some(sub), None) => ("sub", Revocable::Sub(sub)),
            (None, None, Some(name)) => ("api_key", Revocable::ApiKey(name)),
            _ => {
                let detail = "name one credential: by `jti`, `sub` or `api_key`";
                return Err(invalid("jti", detail));
            }
        };
        let named = |e| invalid(field, format!("`{field}` {e}"));
        revocable.checked().map_err(named)
    }
}

impl From<Revocation> for Revoked {
    fn from(Revocation { revoked, until }: Revocation) -> Self {
        let (jti, sub, api_key) = match revoked {
            Revocable::Jti(text) => (Some(text), None, None),
            Revocable::Sub(text) => (None, Some(text), None),
            Revocable::ApiKey(text) => (None, None, Some(text)),
        };
        Self {
            jti,
            sub,
            api_key,
            until,
        }
    }
}

#[utoipa::path(
    post,
    path = "/api/v0/revocations",
    tag = "Revocations",
    summary = "Revoke a credential: its calls, tickets, sockets and streams end",
    request_body = RevokeBody,
    responses((status = 200, description = "The credential is revoked", body = Revoked), RevokeProblems),
)]
pub(crate) async fn revoke(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    authorize::caller(&api, &request)?.may_revoke()?;
    let bytes = body::read(&request, payload, &api).await?;
    let RevokeBody {
        jti,
        sub,
        api_key,
        until,
    } = body::parse(&bytes)?;
    if until == Some(0) {
        return Err(invalid(
            "until",
            "`until` is 0; leave it out to revoke for ever",
        ));
    }
    let revocation = Revocation {
        revoked: Named { jti, sub, api_key }.revocable()?,
        until,
    };
    if !api.auth().revoke(&revocation, api.store().redis()).await? {
        api.limits().hit("auth.max_revocations");
        let detail = format!(
            "{} credentials are revoked (auth.max_revocations): lift some, or pass `until`",
            api.auth().max_revocations()
        );
        return Err(Problem::new(ProblemKind::OverLimit, detail).into());
    }
    Ok(HttpResponse::Ok().json(Revoked::from(revocation)))
}

#[utoipa::path(
    get,
    path = "/api/v0/revocations",
    tag = "Revocations",
    summary = "List the revoked credentials",
    responses((status = 200, description = "The revoked credentials", body = [Revoked]), ListProblems),
)]
pub(crate) async fn revocations(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    authorize::caller(&api, &request)?.may_revoke()?;
    let all = api.auth().revocations(api.store().redis()).await?;
    let all: Vec<Revoked> = all.into_iter().map(Revoked::from).collect();
    Ok(HttpResponse::Ok().json(all))
}

#[utoipa::path(
    delete,
    path = "/api/v0/revocations",
    tag = "Revocations",
    summary = "Make a revoked credential valid again",
    params(
        ("jti" = Option<String>, Query, description = "The `jti` of a JWT", nullable = false),
        ("sub" = Option<String>, Query, description = "The `sub` of JWTs", nullable = false),
        ("api_key" = Option<String>, Query, description = "The name of an API key", nullable = false),
    ),
    responses((status = 200, description = "The credential is not revoked", body = Lifted), ListProblems),
)]
pub(crate) async fn lift(
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, ProblemResponse> {
    authorize::caller(&api, &request)?.may_revoke()?;
    let parameters = Parameters::of(&request)?;
    let given = |name: &str| parameters.given(name).map(str::to_owned);
    let named = Named {
        jti: given("jti"),
        sub: given("sub"),
        api_key: given("api_key"),
    };
    let lifted = api
        .auth()
        .lift(&named.revocable()?, api.store().redis())
        .await?;
    Ok(HttpResponse::Ok().json(Lifted { lifted }))
}
