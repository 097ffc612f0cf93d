//! Showing who calls, and a token that is no longer good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use ltm_client::{Change, Client, Error, ProblemKind, Start, Token};
use ltm_tests::{RedisServer, Service, SigningKey};
use serde_json::json;

use super::{disconnect, hasty, live, message, next};

/// Services that ask who calls.
struct Guarded {
    api: Service,
    gateway: Service,
    key: Arc<SigningKey>,
    _redis: RedisServer,
    _folder: tempfile::TempDir,
}

impl Guarded {
    fn start() -> Self {
        let key = SigningKey::new("ES256");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwt");
        std::fs::write(&file, key.public()).unwrap();
        let redis = RedisServer::start(&[]);
        let settings = [
            ("LTM__AUTH__MODE", "required"),
            ("LTM__AUTH__AUDIENCE", "ltm-live"),
            ("LTM__AUTH__LEEWAY", "0s"),
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", key.algorithm()),
        ];
        Self {
            api: Service::api(&redis.url(), &settings),
            gateway: Service::gateway(&redis.url(), &settings),
            key: Arc::new(key),
            _redis: redis,
            _folder: folder,
        }
    }

    /// A client of the service whose nth token is good for so many seconds; counts how often it was asked.
    fn client(
        &self,
        service: &Service,
        seconds: impl Fn(usize) -> i64 + Send + Sync + 'static,
    ) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let (key, count) = (Arc::clone(&self.key), Arc::clone(&asked));
        let source = move || {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            let token = token(&key, seconds(nth));
            async { Ok(token) }
        };
        let client = Client::builder(service.http().parse().unwrap())
            .options(hasty())
            .tokens(source);
        (client.build().unwrap(), asked)
    }
}

fn token(key: &SigningKey, seconds: i64) -> Token {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let exp = now.as_secs().checked_add_signed(seconds).unwrap();
    let claims =
        json!({"sub": "somebody", "aud": "ltm-live", "exp": exp, "ltm": "*", "can": "admin"});
    key.token(&claims).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_token_expires_another_one_is_asked_for_and_nothing_is_missed() {
    let guarded = Guarded::start();
    let (writer, _) = guarded.client(&guarded.api, |_| 3600);
    let producer = writer.producer();
    let created = producer
        .create(&json!({"fqn": "a.B"}))
        .send()
        .await
        .unwrap();
    let (reader, asked) = guarded.client(&guarded.gateway, |nth| if nth < 2 { 5 } else { 3600 });
    let mut events = reader.follow(created.id, Start::After(created.cursor));
    live(&mut events).await;
    for n in 0..2_u64 {
        let reason = disconnect(&mut events).await;
        assert!(
            matches!(reason, Error::Closed { code: 4401, .. }),
            "{reason}"
        );
        let body = json!({"reason": "execute", "merge": {"n": n}});
        producer.append(created.id, &body).send().await.unwrap();
        let message = loop {
            let message = message(&mut events).await;
            if !matches!(message.change, Change::Live) {
                break message;
            }
        };
        assert_eq!(message.cursor.seq, n + 2);
    }
    assert!(asked.load(Ordering::SeqCst) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_better_token_it_ends() {
    let guarded = Guarded::start();
    let (writer, _) = guarded.client(&guarded.api, |_| 3600);
    let new = json!({"fqn": "a.B"});
    let id = writer.producer().create(&new).send().await.unwrap().id;
    let builder = || Client::builder(guarded.gateway.http().parse().unwrap()).options(hasty());
    // One that is given for good is no better the next time.
    let one = builder().token(token(&guarded.key, 5)).build().unwrap();
    let mut events = one.follow(id, Start::Now);
    live(&mut events).await;
    let refused = next(&mut events).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, Error::Closed { code: 4401, .. }),
        "{refused}"
    );
    assert!(next(&mut events).await.is_none());
    // A source is asked once more, and not for ever.
    let (expired, asked) = guarded.client(&guarded.gateway, |_| -5);
    let mut events = expired.follow(id, Start::Now);
    let refused = disconnect(&mut events).await;
    assert!(refused.is(ProblemKind::Unauthenticated), "{refused}");
    let refused = next(&mut events).await.unwrap().unwrap_err();
    assert!(refused.is(ProblemKind::Unauthenticated), "{refused}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // One that has none says why.
    let none = builder().tokens(|| async { Err("the vault is shut".into()) });
    let mut events = none.build().unwrap().follow(id, Start::Now);
    let refused = next(&mut events).await.unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "cannot get a token: the vault is shut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_token_has_expired_is_sent_again_with_another_one() {
    let guarded = Guarded::start();
    let (writer, asked) = guarded.client(&guarded.api, |nth| if nth == 0 { -5 } else { 3600 });
    let new = json!({"fqn": "a.B"});
    writer.producer().create(&new).send().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let (expired, asked) = guarded.client(&guarded.api, |_| -5);
    let refused = expired.producer().create(&new).send().await.unwrap_err();
    assert!(refused.is(ProblemKind::Unauthenticated), "{refused}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
