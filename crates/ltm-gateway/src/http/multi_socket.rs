//! `GET /ws`: one WebSocket for many LTMs, each with its own cursor.

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
use ltm_service::{LimitsHit, Parameters, ProblemResponse, handshake_credential};
use ltm_types::{LtmId, LtmKey, LtmRef};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    fanout::{frames::Frames, worker::Worker},
    http::{
        handshake::{count, open},
        ltm_socket::subscribe,
    },
    subscriber::{
        close::CloseCause,
        follow_request::FollowOptions,
        outbound::Outbound,
        session_auth::{SessionAuth, find},
    },
};

pub(crate) async fn follow(
    request: HttpRequest,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, actix_web::Error> {
    let (auth, store) = (worker.gateway.auth(), worker.gateway.store());
    let credential = handshake_credential(&request, request.query_string());
    let session_auth = SessionAuth::of_many(auth, store, credential).await;
    let known = session_auth.as_ref().ok().and_then(Option::as_deref);
    count(&request, known)?;
    let session_auth = session_auth.map_err(ProblemResponse::from)?;
    let settings = worker.gateway.settings();
    // A client may ask for all of its LTMs at once.
    let max_messages = settings.max_messages.saturating_add(settings.max_follows);
    let (handshake, mut socket) = open(&request, worker.clone(), max_messages).await?;
    let session_auth: Option<Rc<SessionAuth>> = session_auth.map(Rc::from);
    let limits = worker.gateway.limits().clone();
    let multi_socket = MultiSocket {
        worker,
        outbound: socket.outbound.clone(),
        session_auth: session_auth.clone(),
        followed: HashMap::new(),
        running: FuturesUnordered::new(),
        started: 0,
    };
    let commands = Rc::new(CommandQueue::new(max_messages as usize, limits));
    let work = Box::pin(multi_socket.run(commands.clone()));
    Ok(handshake.then(async move {
        let on_text = |text: &str| match Command::read(text) {
            Some(command) => commands.push(command),
            None => {
                if let Some(session_auth) = &session_auth {
                    session_auth.offer_renewal(text);
                }
            }
        };
        socket
            .serve("many LTMs", session_auth.as_deref(), on_text, work)
            .await;
    }))
}

/// What a client asks for on the open socket.
#[derive(Debug)]
enum Command {
    /// Holds the error if an option is not valid.
    Follow(LtmRef, Result<FollowOptions, String>),
    Unfollow(LtmRef),
    /// A `follow` or `unfollow` that names no LTM; holds the error.
    Invalid(String),
}

impl Command {
    /// Reads a client's text; `None` if it contains neither `follow` nor `unfollow`.
    fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Text {
            follow: Option<LtmRef>,
            unfollow: Option<LtmRef>,
            after: Option<Value>,
            init: Option<Value>,
            live: Option<Value>,
        }
        match serde_json::from_str::<Text>(text) {
            Ok(Text {
                follow: Some(ltm),
                after,
                init,
                live,
                ..
            }) => {
                let members = [("after", after), ("init", init), ("live", live)];
                Some(Self::Follow(ltm, options(members)))
            }
            Ok(Text { unfollow, .. }) => unfollow.map(Self::Unfollow),
            Err(error) => {
                let members = serde_json::from_str::<HashMap<&str, IgnoredAny>>(text).ok()?;
                let is_command = ["follow", "unfollow"]
                    .iter()
                    .any(|it| members.contains_key(it));
                is_command.then(|| Self::Invalid(format!("{text}: {error}")))
            }
        }
    }
}

/// Reads the members of a `follow` as if they stood in a query string: `true` and `1` are the text of the
/// parameter, `null` is an absent one.
fn options(members: [(&'static str, Option<Value>); 3]) -> Result<FollowOptions, String> {
    let text = |(name, value): (&'static str, Option<Value>)| {
        let text = match value? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Some((name.to_owned(), text))
    };
    let parameters: Parameters = members.into_iter().filter_map(text).collect();
    FollowOptions::read(&parameters).map_err(|problem| {
        let field = problem.field.unwrap_or_default();
        format!("{field}: {}", problem.detail)
    })
}

/// The commands that the client has sent and the socket has not carried out yet.
struct CommandQueue {
    waiting: RefCell<VecDeque<Command>>,
    max: usize,
    overflowed: Cell<bool>,
    pushed: Notify,
    limits: LimitsHit,
}

impl CommandQueue {
    fn new(max: usize, limits: LimitsHit) -> Self {
        Self {
            waiting: RefCell::default(),
            max,
            overflowed: Cell::new(false),
            pushed: Notify::new(),
            limits,
        }
    }

    fn push(&self, command: Command) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < self.max {
            waiting.push_back(command);
        } else {
            self.limits.hit("gateway.max_messages");
            self.overflowed.set(true);
        }
        self.pushed.notify_one();
    }

    async fn next(&self) -> Result<Command, CloseCause> {
        loop {
            if self.overflowed.get() {
                return Err(CloseCause::TooMuchText);
            }
            let command = self.waiting.borrow_mut().pop_front();
            match command {
                Some(command) => return Ok(command),
                None => self.pushed.notified().await,
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
    /// How many subscriptions this socket has started so far.
    started: u64,
}

/// The current subscription to one LTM.
struct Following {
    number: u64,
    /// The key by which the client named the LTM.
    key: Option<LtmKey>,
    stop: AbortHandle,
}

/// A subscription that has ended, and why; `None` if the client stopped it.
struct Ended {
    id: LtmId,
    number: u64,
    cause: Option<CloseCause>,
}

impl MultiSocket {
    async fn run(mut self, commands: Rc<CommandQueue>) -> CloseCause {
        loop {
            let done = tokio::select! {
                command = commands.next() => match command {
                    Ok(command) => self.execute(command).await,
                    Err(cause) => Err(cause),
                },
                Some(ended) = self.running.next() => self.report(ended).await,
            };
            if let Err(cause) = done {
                return cause;
            }
        }
    }

    async fn execute(&mut self, command: Command) -> Result<(), CloseCause> {
        match command {
            Command::Invalid(detail) => self.send_end(None, &CloseCause::Invalid(detail)).await,
            Command::Unfollow(ltm) => {
                let cause = CloseCause::Unfollowed;
                let Some(id) = self.known(&ltm) else {
                    return self.send_end_of(&ltm, &cause).await;
                };
                self.stop(id).await?;
                self.send_end(Some(id), &cause).await
            }
            Command::Follow(ltm, options) => match self.find(&ltm).await? {
                Ok(id) => self.follow(id, ltm, options).await,
                Err(cause) => self.send_end_of(&ltm, &cause).await,
            },
        }
    }

    /// The id of an LTM that the client names by its id, or by the key by which it follows it.
    fn known(&self, ltm: &LtmRef) -> Option<LtmId> {
        let key = match ltm {
            LtmRef::Id(id) => return Some(*id),
            LtmRef::Key(key) => key,
        };
        let mut followed = self.followed.iter();
        let known = followed.find(|(_, following)| following.key.as_ref() == Some(key));
        known.map(|(id, _)| *id)
    }

    /// Looks up an LTM. The others are delivered meanwhile.
    async fn find(&mut self, ltm: &LtmRef) -> Result<Result<LtmId, CloseCause>, CloseCause> {
        let (worker, session_auth) = (self.worker.clone(), self.session_auth.clone());
        let store = worker.gateway.store();
        let mut found = Box::pin(find(session_auth.as_deref(), store, ltm));
        loop {
            tokio::select! {
                found = &mut found => return Ok(found.map_err(CloseCause::from)),
                Some(ended) = self.running.next() => self.report(ended).await?,
            }
        }
    }

    async fn follow(
        &mut self,
        id: LtmId,
        ltm: LtmRef,
        options: Result<FollowOptions, String>,
    ) -> Result<(), CloseCause> {
        self.stop(id).await?;
        let key = match ltm {
            LtmRef::Id(_) => None,
            LtmRef::Key(key) => {
                // Before all else about this id: the client knows only the key.
                self.send(&json!({"id": id, "follow": key})).await?;
                Some(key)
            }
        };
        let max = self.worker.gateway.settings().max_follows;
        if self.followed.len() >= max as usize {
            self.worker.gateway.limits().hit("gateway.max_follows");
            let text = format!("this socket follows {max} LTMs (gateway.max_follows)");
            return self.send_end(Some(id), &CloseCause::OverLimit(text)).await;
        }
        let options = match options {
            Ok(options) => options,
            Err(detail) => return self.send_end(Some(id), &CloseCause::Invalid(detail)).await,
        };
        self.start(id, key, options);
        Ok(())
    }

    fn start(&mut self, id: LtmId, key: Option<LtmKey>, options: FollowOptions) {
        self.started += 1;
        let (stop, stopped) = AbortHandle::new_pair();
        let number = self.started;
        self.followed.insert(id, Following { number, key, stop });
        let (worker, outbound) = (self.worker.clone(), self.outbound.clone());
        let deliver = deliver(worker, id, options, outbound, self.session_auth.clone());
        let deliver = Abortable::new(deliver, stopped);
        self.running.push(Box::pin(async move {
            let cause = deliver.await.ok();
            Ended { id, number, cause }
        }));
    }

    /// Stops the subscription to one LTM. After this, nothing more of it is sent.
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

    /// Tells the client that a subscription has ended, unless the client stopped it.
    async fn report(&mut self, ended: Ended) -> Result<(), CloseCause> {
        let Ended { id, number, cause } = ended;
        let Some(cause) = cause else { return Ok(()) };
        if matches!(cause, CloseCause::Left | CloseCause::Restarting) {
            // Nothing can be followed on this socket any more.
            return Err(cause);
        }
        if self.followed.get(&id).is_some_and(|it| it.number == number) {
            self.followed.remove(&id);
            self.forget(id);
        }
        self.send_end(Some(id), &cause).await
    }

    fn forget(&self, id: LtmId) {
        if let Some(session_auth) = &self.session_auth {
            session_auth.remove(id);
        }
    }

    /// Sends the message that stands for the close of a socket for one LTM.
    async fn send_end(&self, id: Option<LtmId>, cause: &CloseCause) -> Result<(), CloseCause> {
        self.worker.gateway.metrics().ended(cause);
        self.send(&json!({"id": id, "end": cause.to_json()})).await
    }

    /// As [`MultiSocket::send_end`], for an LTM whose id is not known.
    async fn send_end_of(&self, ltm: &LtmRef, cause: &CloseCause) -> Result<(), CloseCause> {
        self.worker.gateway.metrics().ended(cause);
        let end = cause.to_json();
        self.send(&json!({"id": null, "follow": ltm, "end": end}))
            .await
    }

    async fn send(&self, message: &Value) -> Result<(), CloseCause> {
        self.outbound
            .flushed()
            .await
            .map_err(|_| CloseCause::Left)?;
        let sent = self.outbound.send(&Frames::plain(&message.to_string()));
        sent.map(drop).map_err(Into::into)
    }
}

/// Delivers one LTM until its subscription ends.
async fn deliver(
    worker: web::Data<Worker>,
    id: LtmId,
    options: FollowOptions,
    outbound: Rc<Outbound>,
    session_auth: Option<Rc<SessionAuth>>,
) -> CloseCause {
    // The futures of these short steps are boxed: otherwise each subscription would hold their memory as
    // long as it lasts.
    if let Some(session_auth) = session_auth
        && let Err(error) = Box::pin(session_auth.add(id)).await
    {
        return error.into();
    }
    match Box::pin(subscribe(&worker, id, options, outbound.clone())).await {
        Ok(subscription) => subscription.deliver(outbound).await,
        Err(cause) => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscriber::follow_request::Start;

    #[test]
    fn a_member_of_a_command_means_what_its_text_means_in_a_query_string() {
        let follow = |text: &str| match Command::read(text) {
            Some(Command::Follow(LtmRef::Id(id), Ok(options))) => {
                (id.get(), options.start, options.live)
            }
            other => panic!("{text}: {other:?}"),
        };
        let after = Start::After("3-7".parse().unwrap());
        let origin = Start::After(ltm_types::Cursor::ORIGIN);
        for (text, expected) in [
            (r#"{"follow":1}"#, (1, Start::Now, false)),
            (r#"{"follow":1,"live":null}"#, (1, Start::Now, false)),
            (r#"{"follow":1,"live":1}"#, (1, Start::Now, true)),
            (r#"{"follow":1,"live":"yes"}"#, (1, Start::Now, true)),
            (r#"{"follow":1,"after":"3-7"}"#, (1, after, false)),
            (r#"{"follow":1,"after":0,"live":0}"#, (1, origin, false)),
            (r#"{"follow":1,"init":"state"}"#, (1, Start::State, false)),
        ] {
            assert_eq!(follow(text), expected, "{text}");
        }
        for (text, field) in [
            (r#"{"follow":1,"live":2}"#, "live"),
            (r#"{"follow":1,"live":[]}"#, "live"),
            (r#"{"follow":1,"after":true}"#, "after"),
            (r#"{"follow":1,"init":1}"#, "init"),
        ] {
            let Some(Command::Follow(_, Err(detail))) = Command::read(text) else {
                panic!("{text}");
            };
            assert!(
                detail.starts_with(&format!("{field}: ")),
                "{text}: {detail}"
            );
        }
        assert!(Command::read(r#"{"token":"x"}"#).is_none());
    }

    #[test]
    fn a_command_names_an_ltm_by_a_number_its_text_or_class_and_key() {
        let named = |text: &str| match Command::read(text) {
            Some(Command::Follow(ltm, _) | Command::Unfollow(ltm)) => Ok(ltm.to_string()),
            Some(Command::Invalid(detail)) => Err(detail),
            None => panic!("{text}"),
        };
        for (text, expected) in [
            (r#"{"follow":7}"#, "7"),
            (r#"{"follow":"7"}"#, "7"),
            (
                r#"{"unfollow":"18446744073709551615"}"#,
                "18446744073709551615",
            ),
            (
                r#"{"follow":{"fqn":"app.Agent","key":"3f/2c"}}"#,
                "app.Agent/3f/2c",
            ),
            (
                r#"{"unfollow":{"fqn":"app.Agent","key":"3f"}}"#,
                "app.Agent/3f",
            ),
        ] {
            assert_eq!(named(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            r#"{"follow":0}"#,
            r#"{"follow":"x"}"#,
            r#"{"follow":{"fqn":"app.Agent"}}"#,
            r#"{"follow":{"fqn":"app.Agent","key":".."}}"#,
            r#"{"follow":{"fqn":"app.Agent","key":"a","id":1}}"#,
        ] {
            assert!(named(text).is_err(), "{text}");
        }
    }
}
