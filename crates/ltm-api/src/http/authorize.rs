//! Which caller may make which call. A call reads, writes or deletes, as its method says, and concerns the LTM in its
//! path. The call itself checks what the path does not say: the class of a new LTM, the rows of a list.
//!
//! A path with a key is looked up only for a caller that may use its class: others cannot find out which keys exist.

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use ltm_auth::{Access, AuthError, Caller};
use ltm_service::{ProblemResponse, count_call, credential, ltm_in_path};
use ltm_types::LtmRef;

use super::path;
use crate::Api;

/// Lets a request through if its caller may make it.
pub(crate) async fn check<B: MessageBody>(
    api: web::Data<Api>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match counted(&api, request.request()).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(problem) => {
            let refused = problem.error_response();
            return Ok(request.into_response(refused).map_into_right_body());
        }
    }
    path::look_up(request.request(), api.store()).await;
    Ok(next.call(request).await?.map_into_left_body())
}

/// Authenticates the caller of a request, counts the request, and checks that the caller may make it. `None` if callers
/// need no credential.
async fn counted(api: &Api, request: &HttpRequest) -> Result<Option<Caller>, ProblemResponse> {
    if !api.auth().is_required() {
        count_call(request, None)?;
        return Ok(None);
    }
    let caller = authenticated(api, request).await?;
    authorize(api, request, &caller).await?;
    Ok(Some(caller))
}

/// Authenticates the caller of a request, and counts the request.
pub(crate) async fn authenticated(
    api: &Api,
    request: &HttpRequest,
) -> Result<Caller, ProblemResponse> {
    let caller = authenticate(api, request).await;
    count_call(request, caller.as_ref().ok())?;
    Ok(caller?)
}

async fn authenticate(api: &Api, request: &HttpRequest) -> Result<Caller, AuthError> {
    let shown = credential(request);
    api.auth().caller(shown, api.store().redis()).await
}

async fn authorize(api: &Api, request: &HttpRequest, caller: &Caller) -> Result<(), AuthError> {
    let access = needed(request.method());
    caller.may(access)?;
    // The call itself refuses a path with something else.
    match ltm_in_path(request) {
        Ok(LtmRef::Id(id)) => caller.may_with(access, id, api.store()).await?,
        Ok(LtmRef::Key(key)) => caller.may_with_class(access, key.fqn())?,
        Err(_) => {}
    }
    Ok(())
}

fn needed(method: &Method) -> Access {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Access::Read,
        Method::DELETE => Access::Admin,
        _ => Access::Write,
    }
}

/// The Idempotency-Key of a creation, as Redis stores it: each caller has its own keys.
pub(crate) fn key_of(api: &Api, caller: &Caller, key: &str) -> String {
    if api.auth().is_required() {
        format!("{}:{key}", caller.scope())
    } else {
        key.to_owned()
    }
}

/// Checks the credential of a request again, which waited.
///
/// # Errors
///
/// [`AuthError`] if the credential is no longer valid, or no longer allows the request.
pub(crate) async fn again(api: &Api, request: &HttpRequest) -> Result<(), AuthError> {
    if !api.auth().is_required() {
        return Ok(());
    }
    let caller = authenticate(api, request).await?;
    authorize(api, request, &caller).await
}

/// The caller of a request that was let through.
///
/// # Errors
///
/// [`AuthError::Missing`] if the request was not checked.
pub(crate) fn caller(api: &Api, request: &HttpRequest) -> Result<Caller, AuthError> {
    if !api.auth().is_required() {
        return Ok(Caller::anybody());
    }
    let known = request.extensions().get::<Caller>().cloned();
    known.ok_or(AuthError::Missing)
}
