//! `GET /ws`: one WebSocket for many LTMs, each with a cursor of its own.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{
    StreamExt,
    future::{AbortHandle, Abortable, LocalBoxFuture},
    stream::FuturesUnordered,
};
use ltm_service::{
    ProblemResponse,
    auth::{AuthError, Presented},
    limit_reached,
};
use ltm_store::StoreError;
use ltm_types::LtmId;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    fanout::{message::frames, worker::Worker},
    http::{
        follow_request::FollowRequest,
        handshake::{check_origin, open},
        ltm_socket::begin,
    },
    subscriber::{close::CloseCause, outbound::Outbound, session_auth::SessionAuth},
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    check_origin(&request, &worker)?;
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let shown = Presented::in_handshake(&request, request.query_string());
    let session_auth = SessionAuth::of_many(auth, store, shown).await;
    let session_auth = session_auth.map_err(ProblemResponse::from)?;
    let settings = worker.gateway.settings();
    // All may be asked for at once.
    let most = settings.max_messages.saturating_add(settings.max_follows);
    let opened = open(&request, worker.clone(), most).await?;
    let (mut socket, session_auth) = (opened.socket, session_auth.map(Rc::from));
    let socket_of_many = MultiSocket {
        worker,
        outbound: socket.outbound.clone(),
        session_auth: session_auth.clone(),
        followed: HashMap::new(),
        running: FuturesUnordered::new(),
        begun: 0,
    };
    let commands = Rc::new(CommandQueue::new(most as usize));
    let work = Box::pin(socket_of_many.run(commands.clone()));
    opened.upgrade.then(async move {
        let on_text = |text: &str| match Command::read(text) {
            Some(command) => commands.add(command),
            None => {
                if let Some(session_auth) = &session_auth {
                    session_auth.offer_renewal(text);
                }
            }
        };
        socket
            .serve("many LTMs", session_auth.as_deref(), on_text, work)
            .await;
    });
    Ok(opened.response)
}

/// What a client asks for.
enum Command {
    Follow(LtmId, FollowOptions),
    Unfollow(LtmId),
    /// It cannot be understood, and why.
    Wrong(String),
}

/// Where to begin, in the client's words.
#[derive(Deserialize)]
struct FollowOptions {
    after: Option<String>,
    init: Option<String>,
    #[serde(default)]
    live: Marker,
}

impl Command {
    /// Reads what a client says; none where it is about something else.
    fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Said {
            follow: Option<LtmId>,
            unfollow: Option<LtmId>,
            #[serde(flatten)]
            place: FollowOptions,
        }
        match serde_json::from_str::<Said>(text) {
            Ok(Said {
                follow: Some(id),
                place,
                ..
            }) => Some(Self::Follow(id, place)),
            Ok(Said { unfollow, .. }) => unfollow.map(Self::Unfollow),
            Err(error) => {
                let members = serde_json::from_str::<HashMap<&str, IgnoredAny>>(text).ok()?;
                let meant = ["follow", "unfollow"]
                    .iter()
                    .any(|it| members.contains_key(it));
                meant.then(|| Self::Wrong(format!("{text}: {error}")))
            }
        }
    }
}

/// Whether to say when what was there has been sent: `true` or 1.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(untagged)]
enum Marker {
    Word(bool),
    Number(u8),
    #[default]
    Missing,
}

/// What was asked for and not done yet.
struct CommandQueue {
    waiting: RefCell<VecDeque<Command>>,
    most: usize,
    too_much: Cell<bool>,
    some: Notify,
}

impl CommandQueue {
    fn new(most: usize) -> Self {
        Self {
            waiting: RefCell::default(),
            most,
            too_much: Cell::new(false),
            some: Notify::new(),
        }
    }

    fn add(&self, command: Command) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < self.most {
            waiting.push_back(command);
        } else {
            limit_reached("gateway.max_messages");
            self.too_much.set(true);
        }
        self.some.notify_one();
    }

    async fn next(&self) -> Result<Command, CloseCause> {
        loop {
            if self.too_much.get() {
                return Err(CloseCause::Talkative);
            }
            let command = self.waiting.borrow_mut().pop_front();
            match command {
                Some(command) => return Ok(command),
                None => self.some.notified().await,
            }
        }
    }
}

/// The LTMs that one socket follows.
struct MultiSocket {
    worker: web::Data<Worker>,
    outbound: Rc<Outbound>,
    session_auth: Option<Rc<SessionAuth>>,
    followed: HashMap<LtmId, Following>,
    running: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    /// How many were begun.
    begun: u64,
}

/// One of them.
struct Following {
    number: u64,
    stop: AbortHandle,
}

/// One that is no longer followed; why, unless it was stopped.
struct Ended {
    id: LtmId,
    number: u64,
    end: Option<CloseCause>,
}

impl MultiSocket {
    async fn run(mut self, commands: Rc<CommandQueue>) -> CloseCause {
        loop {
            let done = tokio::select! {
                command = commands.next() => match command {
                    Ok(command) => self.execute(command).await,
                    Err(end) => Err(end),
                },
                Some(ended) = self.running.next() => self.report(ended).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn execute(&mut self, command: Command) -> Result<(), CloseCause> {
        match command {
            Command::Wrong(detail) => self.send_end(None, &CloseCause::Invalid(detail)).await,
            Command::Unfollow(id) => {
                self.stop(id).await?;
                self.send_end(Some(id), &CloseCause::Unfollowed).await
            }
            Command::Follow(id, FollowOptions { after, init, live }) => {
                self.stop(id).await?;
                let most = self.worker.gateway.settings().max_follows;
                if self.followed.len() >= most as usize {
                    limit_reached("gateway.max_follows");
                    let text = "as many LTMs as allowed are followed here (gateway.max_follows)";
                    return self
                        .send_end(Some(id), &CloseCause::OverLimit(text.into()))
                        .await;
                }
                match FollowRequest::start(after.as_deref(), init.as_deref()) {
                    Ok(start) => {
                        self.begin(FollowRequest {
                            id,
                            start,
                            marker: matches!(live, Marker::Word(true) | Marker::Number(1..)),
                        });
                        Ok(())
                    }
                    Err(ProblemResponse(problem)) => {
                        let field = problem.field.unwrap_or_default();
                        let detail = format!("{field}: {}", problem.detail);
                        self.send_end(Some(id), &CloseCause::Invalid(detail)).await
                    }
                }
            }
        }
    }

    fn begin(&mut self, follow: FollowRequest) {
        self.begun += 1;
        let (stop, stopped) = AbortHandle::new_pair();
        let (id, number) = (follow.id, self.begun);
        self.followed.insert(id, Following { number, stop });
        let (worker, outbound) = (self.worker.clone(), self.outbound.clone());
        let deliver = deliver(worker, follow, outbound, self.session_auth.clone());
        let deliver = Abortable::new(deliver, stopped);
        self.running.push(Box::pin(async move {
            let end = deliver.await.ok();
            Ended { id, number, end }
        }));
    }

    /// Stops following one; once this is over, nothing more of it is sent.
    async fn stop(&mut self, id: LtmId) -> Result<(), CloseCause> {
        let Some(following) = self.followed.remove(&id) else {
            return Ok(());
        };
        following.stop.abort();
        let mut others = Vec::new();
        while let Some(ended) = self.running.next().await {
            if ended.number == following.number {
                break;
            }
            others.push(ended);
        }
        self.forget(id);
        for ended in others {
            self.report(ended).await?;
        }
        Ok(())
    }

    /// Tells that one has ended.
    async fn report(&mut self, ended: Ended) -> Result<(), CloseCause> {
        let Ended { id, number, end } = ended;
        let Some(end) = end else { return Ok(()) };
        if end == CloseCause::Left {
            return Err(end);
        }
        if self.followed.get(&id).is_some_and(|it| it.number == number) {
            self.followed.remove(&id);
            self.forget(id);
        }
        self.send_end(Some(id), &end).await
    }

    fn forget(&self, id: LtmId) {
        if let Some(session_auth) = &self.session_auth {
            session_auth.remove(id);
        }
    }

    /// Says of one LTM what on a socket of its own would be the close.
    async fn send_end(&self, id: Option<LtmId>, end: &CloseCause) -> Result<(), CloseCause> {
        self.worker.gateway.metrics().ended(end);
        let text = json!({"id": id, "end": end.shown()}).to_string();
        let flushed = self.outbound.flushed().await;
        if flushed.is_err() || !self.outbound.send(&frames(&text)) {
            return Err(CloseCause::Left);
        }
        Ok(())
    }
}

/// Delivers one LTM until its end.
async fn deliver(
    worker: web::Data<Worker>,
    follow: FollowRequest,
    outbound: Rc<Outbound>,
    session_auth: Option<Rc<SessionAuth>>,
) -> CloseCause {
    // What is over soon takes no room for as long as the LTM is followed.
    if let Some(session_auth) = session_auth
        && let Err(error) = Box::pin(session_auth.add(follow.id)).await
    {
        return match error {
            AuthError::Store(StoreError::Unknown(id)) => CloseCause::Unknown(id),
            AuthError::Store(StoreError::Deleted { .. }) => CloseCause::Deleted,
            AuthError::Store(_) => CloseCause::OverLimit("Redis does not answer".into()),
            error => CloseCause::Refused(error.to_string()),
        };
    }
    match Box::pin(begin(&worker, follow, outbound.clone())).await {
        Ok(subscription) => subscription.deliver(outbound).await,
        Err(end) => end,
    }
}
