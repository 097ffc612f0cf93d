//! `GET /sse/ltms`: a list of LTMs, live, as Server-Sent Events.

use std::convert::Infallible;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes},
};
use futures_util::{FutureExt, stream::empty};
use ltm_service::{Parameters, ProblemResponse, is_head};

use crate::{
    dialect::messages::Messages,
    fanout::worker::Worker,
    http::sse::{SseSubscriber, events, last_event},
    list::subscriber::FollowedList,
    subscriber::follow_request::FollowOptions,
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, ProblemResponse> {
    let parameters = Parameters::of(&request)?;
    let options = FollowOptions::read(&parameters)?;
    let options = options.after_event(last_event(&request, &parameters))?;
    let list = FollowedList::of(&request, &worker, &parameters).await?;
    let permit = worker.gateway.drain().acquire()?;
    if is_head(&request) {
        // The checks of GET, but no subscription.
        return Ok(events().streaming(empty::<Result<Bytes, Infallible>>()));
    }
    let session_auth = list.session_auth.clone();
    let subscriber = SseSubscriber::new(worker.clone(), session_auth, Box::new(Messages));
    let outbound = subscriber.outbound();
    let deliver = list.deliver(worker, outbound, options).boxed_local();
    Ok(subscriber.start(None, deliver, permit))
}
