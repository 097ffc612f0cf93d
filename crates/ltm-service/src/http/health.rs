//! `/healthz` (liveness) and `/readyz` (readiness).

use std::{future::Future, pin::Pin, sync::Arc};

use actix_web::{HttpResponse, web};
use ltm_types::{Problem, ProblemKind};

use super::problem::ProblemResponse;
use crate::process::shutdown::Shutdown;

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<String>, String>>>> + Send + Sync;

/// Whether the service can do its work: its readiness.
#[derive(Clone)]
pub struct Readiness {
    check: Arc<Check>,
    shutdown: Shutdown,
}

impl Readiness {
    /// Ready if `check` succeeds and the process is not stopping. `check` returns warnings.
    pub fn new<F: Future<Output = Result<Vec<String>, String>> + 'static>(
        shutdown: Shutdown,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Arc::new(move || Box::pin(check())),
            shutdown,
        }
    }

    pub(crate) fn configure(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.clone()))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz));
    }
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

async fn readyz(readiness: web::Data<Readiness>) -> Result<HttpResponse, ProblemResponse> {
    if readiness.shutdown.has_begun() {
        return Err(Problem::new(ProblemKind::Unavailable, "the service is stopping").into());
    }
    let warnings = (readiness.check)()
        .await
        .map_err(|detail| Problem::new(ProblemKind::Unavailable, detail))?;
    let mut answer = serde_json::json!({"status": "ready"});
    if !warnings.is_empty() {
        answer["warnings"] = warnings.into();
    }
    Ok(HttpResponse::Ok().json(answer))
}
