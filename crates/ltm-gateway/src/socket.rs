//! `GET /ws/{ltm_id}`: one subscriber's WebSocket.

use std::{cell::Cell, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, body::MessageBody, http::header, rt, web};
use ltm_service::ProblemResponse;
use ltm_types::{LtmId, Problem, ProblemKind};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant, interval, timeout},
};

use crate::{
    Gateway,
    control::Control,
    drain::Seat,
    end::End,
    inbound::{Budget, Inbound},
    outbound::Outbound,
    subscription::Subscription,
    wish::Wish,
};

/// How long a client may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

pub(crate) async fn follow(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Result<HttpResponse, actix_web::Error> {
    let id = request.match_info().get("id").unwrap_or_default();
    let wish = Wish::read(id, request.query_string())?;
    check_origin(&request, &gateway)?;
    let seat = gateway.drain().take_seat().map_err(ProblemResponse)?;
    // Before the handshake is answered: "from now on" begins there at the latest.
    let subscription = begin(&gateway, wish).await;
    let budget = Budget::new(gateway.settings());
    let payload = budget.limit(&request, payload).await?;
    let (response, _, stream) = actix_ws::handle(&request, payload)?;
    let heard = Rc::new(Cell::new(Instant::now()));
    let inbound = Inbound::new(stream, budget, heard.clone(), gateway.settings());
    let control = Control::default();
    let (ended, end) = oneshot::channel();
    let response = response.map_body(|_, session| {
        Outbound::new(control.clone(), subscription, ended, session).boxed()
    });
    let socket = Socket {
        gateway: gateway.get_ref().clone(),
        control,
        heard,
    };
    rt::spawn(socket.run(wish.id, end, inbound, seat));
    Ok(response)
}

async fn begin(gateway: &Gateway, wish: Wish) -> Result<Subscription, End> {
    let lease = gateway.topics().follow(wish.id)?;
    let backlog = gateway.backlog().clone();
    Subscription::begin(lease, gateway.store(), backlog, wish.start, wish.marker).await
}

/// Refuses pages of foreign origins: browsers let any page open a WebSocket.
fn check_origin(request: &HttpRequest, gateway: &Gateway) -> Result<(), ProblemResponse> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    match origin.to_str() {
        Ok(origin) if gateway.origins().allow(origin) => Ok(()),
        _ => Err(Problem::new(
            ProblemKind::OriginForbidden,
            "pages of this origin may not follow LTMs (cors.origins)",
        )
        .with_field("Origin")
        .into()),
    }
}

/// One subscriber's socket.
struct Socket {
    gateway: Gateway,
    control: Control,
    heard: Rc<Cell<Instant>>,
}

impl Socket {
    /// Serves the subscriber until one side ends it.
    async fn run(
        self,
        id: LtmId,
        delivered: oneshot::Receiver<End>,
        mut inbound: Inbound,
        seat: Seat,
    ) {
        let end = tokio::select! {
            // Dropped with the connection.
            end = delivered => end.unwrap_or(End::Left),
            end = inbound.read(&self.control) => end,
            end = self.ping() => end,
            () = seat.drained() => End::Restarting,
        };
        tracing::debug!(%id, %end, "a subscriber is gone");
        self.control.close(end.close_reason());
        // A socket that takes nothing is reset by the kernel after the same time.
        let taken = timeout(self.gateway.settings().write_stall, self.control.closed()).await;
        if taken.is_ok() && end != End::Left {
            let _ = timeout(CLOSE_WAIT, inbound.finish()).await;
        }
    }

    /// Pings, and finds out who is gone without a word.
    async fn ping(&self) -> End {
        let every = self.gateway.settings().ping_interval;
        let mut ticks = interval(every);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.heard.get().elapsed() > every * 2 {
                return End::Silent;
            }
            self.control.ping();
        }
    }
}
