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
use ltm_auth::AuthError;
use ltm_service::{ProblemResponse, handshake_credential, limit_reached};
use ltm_store::StoreError;
use ltm_types::LtmId;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    end::End,
    handshake::{check_origin, open},
    message::frames,
    outbound::Outbound,
    pass::Pass,
    socket::begin,
    wish::Wish,
    worker::Worker,
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    check_origin(&request, &worker)?;
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let shown = handshake_credential(&request, request.query_string());
    let pass = Pass::of_many(auth, store, shown).await;
    let pass = pass.map_err(ProblemResponse::from)?;
    let settings = worker.gateway.settings();
    // All may be asked for at once.
    let most = settings.max_messages.saturating_add(settings.max_follows);
    let opened = open(&request, worker.clone(), most).await?;
    let (mut socket, pass) = (opened.socket, pass.map(Rc::from));
    let many = Many {
        worker,
        outbound: socket.outbound.clone(),
        pass: pass.clone(),
        followed: HashMap::new(),
        running: FuturesUnordered::new(),
        begun: 0,
    };
    let asked = Rc::new(Asked::new(most as usize));
    let work = Box::pin(many.run(asked.clone()));
    opened.upgrade.then(async move {
        let hear = |text: &str| match Command::read(text) {
            Some(command) => asked.add(command),
            None => {
                if let Some(pass) = &pass {
                    pass.hear(text);
                }
            }
        };
        socket.serve("many LTMs", pass.as_deref(), hear, work).await;
    });
    Ok(opened.response)
}

/// What a client asks for.
enum Command {
    Follow(LtmId, Place),
    Unfollow(LtmId),
    /// It cannot be understood, and why.
    Wrong(String),
}

/// Where to begin, in the client's words.
#[derive(Deserialize)]
struct Place {
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
            place: Place,
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
struct Asked {
    waiting: RefCell<VecDeque<Command>>,
    most: usize,
    too_much: Cell<bool>,
    some: Notify,
}

impl Asked {
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

    async fn next(&self) -> Result<Command, End> {
        loop {
            if self.too_much.get() {
                return Err(End::Talkative);
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
struct Many {
    worker: web::Data<Worker>,
    outbound: Rc<Outbound>,
    pass: Option<Rc<Pass>>,
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
    end: Option<End>,
}

impl Many {
    async fn run(mut self, asked: Rc<Asked>) -> End {
        loop {
            let done = tokio::select! {
                command = asked.next() => match command {
                    Ok(command) => self.obey(command).await,
                    Err(end) => Err(end),
                },
                Some(ended) = self.running.next() => self.note(ended).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Wrong(detail) => self.say(None, &End::Invalid(detail)).await,
            Command::Unfollow(id) => {
                self.stop(id).await?;
                self.say(Some(id), &End::Unfollowed).await
            }
            Command::Follow(id, Place { after, init, live }) => {
                self.stop(id).await?;
                let most = self.worker.gateway.settings().max_follows;
                if self.followed.len() >= most as usize {
                    limit_reached("gateway.max_follows");
                    let text = "as many LTMs as allowed are followed here (gateway.max_follows)";
                    return self.say(Some(id), &End::OverLimit(text.into())).await;
                }
                match Wish::start(after.as_deref(), init.as_deref()) {
                    Ok(start) => {
                        self.begin(Wish {
                            id,
                            start,
                            marker: matches!(live, Marker::Word(true) | Marker::Number(1..)),
                        });
                        Ok(())
                    }
                    Err(ProblemResponse(problem)) => {
                        let field = problem.field.unwrap_or_default();
                        let detail = format!("{field}: {}", problem.detail);
                        self.say(Some(id), &End::Invalid(detail)).await
                    }
                }
            }
        }
    }

    fn begin(&mut self, wish: Wish) {
        self.begun += 1;
        let (stop, stopped) = AbortHandle::new_pair();
        let (id, number) = (wish.id, self.begun);
        self.followed.insert(id, Following { number, stop });
        let (worker, outbound) = (self.worker.clone(), self.outbound.clone());
        let deliver = deliver(worker, wish, outbound, self.pass.clone());
        let deliver = Abortable::new(deliver, stopped);
        self.running.push(Box::pin(async move {
            let end = deliver.await.ok();
            Ended { id, number, end }
        }));
    }

    /// Stops following one; once this is over, nothing more of it is sent.
    async fn stop(&mut self, id: LtmId) -> Result<(), End> {
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
            self.note(ended).await?;
        }
        Ok(())
    }

    /// Tells that one has ended.
    async fn note(&mut self, ended: Ended) -> Result<(), End> {
        let Ended { id, number, end } = ended;
        let Some(end) = end else { return Ok(()) };
        if end == End::Left {
            return Err(end);
        }
        if self.followed.get(&id).is_some_and(|it| it.number == number) {
            self.followed.remove(&id);
            self.forget(id);
        }
        self.say(Some(id), &end).await
    }

    fn forget(&self, id: LtmId) {
        if let Some(pass) = &self.pass {
            pass.remove(id);
        }
    }

    /// Says of one LTM what on a socket of its own would be the close.
    async fn say(&self, id: Option<LtmId>, end: &End) -> Result<(), End> {
        self.worker.gateway.metrics().ended(end);
        let text = json!({"id": id, "end": end.shown()}).to_string();
        let flushed = self.outbound.flushed().await;
        if flushed.is_err() || !self.outbound.send(&frames(&text)) {
            return Err(End::Left);
        }
        Ok(())
    }
}

/// Delivers one LTM until its end.
async fn deliver(
    worker: web::Data<Worker>,
    wish: Wish,
    outbound: Rc<Outbound>,
    pass: Option<Rc<Pass>>,
) -> End {
    // What is over soon takes no room for as long as the LTM is followed.
    if let Some(pass) = pass
        && let Err(error) = Box::pin(pass.add(wish.id)).await
    {
        return match error {
            AuthError::Store(StoreError::Unknown(id)) => End::Unknown(id),
            AuthError::Store(StoreError::Deleted { .. }) => End::Deleted,
            AuthError::Store(_) => End::OverLimit("Redis does not answer".into()),
            error => End::Refused(error.to_string()),
        };
    }
    match Box::pin(begin(&worker, wish, outbound.clone())).await {
        Ok(subscription) => subscription.deliver(outbound).await,
        Err(end) => end,
    }
}
