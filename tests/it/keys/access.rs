//! Grants: who may use a class may use its keys, and others learn nothing about them.

use ltm_tests::{Api, RedisServer, Service, SigningKey, Subscriber};
use reqwest::Method;
use serde_json::{Value, json};

/// Services that need a token.
struct Guarded {
    api: Api,
    gateway: Service,
    _api_service: Service,
    _redis: RedisServer,
    key: SigningKey,
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
            ("LTM__AUTH__JWT_KEY_FILE", file.to_str().unwrap()),
            ("LTM__AUTH__JWT_ALGORITHM", key.algorithm()),
        ];
        let service = Service::api(&redis.url(), &settings);
        Self {
            api: Api::at(&service),
            gateway: Service::gateway(&redis.url(), &settings),
            _api_service: service,
            _redis: redis,
            key,
            _folder: folder,
        }
    }

    fn token(&self, ltm: Value, can: &str) -> String {
        let hour = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
        let hour = hour
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        self.key.token(&json!({
            "aud": "ltm-live", "exp": hour, "sub": "somebody", "ltm": ltm, "can": can,
        }))
    }

    async fn call(&self, token: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.api.request(method, path).bearer_auth(token).json(body);
        let answer = self.api.send(request).await;
        let mut json = answer.json();
        if let Some(members) = json.as_object_mut() {
            members.remove("request_id");
        }
        (answer.status.as_u16(), json)
    }

    /// The id of an LTM with this key.
    async fn create(&self, fqn: &str, key: &str) -> u64 {
        let body = json!({"fqn": fqn, "key": key, "state": {}});
        let admin = self.token(json!("*"), "admin");
        let (status, created) = self.call(&admin, Method::POST, "/ltm", &body).await;
        assert_eq!(status, 200, "{created}");
        created["id"].as_u64().unwrap()
    }

    /// The status of a handshake, or the code with which the socket closes.
    async fn close_of(&self, token: &str, path: &str) -> String {
        let (_, ticket) = self
            .call(token, Method::POST, "/ws-ticket", &json!({}))
            .await;
        let ticket = ticket["ticket"].as_str().unwrap();
        let url = format!("{}?ticket={ticket}", self.gateway.ws(path));
        match Subscriber::connect(&url).await {
            Ok(mut subscriber) => subscriber.close_code().await.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_for_a_class_covers_its_keys() {
    let guarded = Guarded::start();
    guarded.create("app.Agent", "k").await;
    let token = guarded.token(json!("app.*"), "write");
    let path = "/ltm/by-key/app.Agent/k";
    let none = json!({});
    assert_eq!(guarded.call(&token, Method::GET, path, &none).await.0, 200);
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    let appended = format!("{path}/snapshots");
    assert_eq!(
        guarded.call(&token, Method::POST, &appended, &step).await.0,
        201
    );
    let body = json!({"fqn": "app.Agent", "key": "k"});
    let (status, found) = guarded.call(&token, Method::POST, "/ltm", &body).await;
    assert_eq!((status, &found["created"]), (200, &json!(false)));
    // It may not delete.
    assert_eq!(
        guarded.call(&token, Method::DELETE, path, &none).await.0,
        403
    );
    let reader = guarded.token(json!("app.Agent"), "read");
    assert_eq!(guarded.call(&reader, Method::GET, path, &none).await.0, 200);
    assert_eq!(
        guarded.call(&reader, Method::POST, "/ltm", &body).await.0,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_the_class_gets_the_same_answer_whether_or_not_the_key_exists() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent", "exists").await;
    guarded.create("app.Agent", "deleted").await;
    let admin = guarded.token(json!("*"), "admin");
    let deleted = "/ltm/by-key/app.Agent/deleted";
    let (status, _) = guarded
        .call(&admin, Method::DELETE, deleted, &json!({}))
        .await;
    assert_eq!(status, 200);
    // Also with a grant for the id itself: it says nothing about keys.
    for ltm in [json!("lib.*"), json!([id]), json!(["app.Agents", id])] {
        let token = guarded.token(ltm, "admin");
        let mut answers = Vec::new();
        for key in ["exists", "deleted", "none"] {
            let path = format!("/ltm/by-key/app.Agent/{key}");
            let step = json!({"reason": "execute", "merge": {}});
            let create = json!({"fqn": "app.Agent", "key": key});
            let choose = json!({"fqn": "app.Agent", "key": key, "id": id});
            let mut of_key = Vec::new();
            for (method, path, body) in [
                (Method::GET, path.clone(), &step),
                (Method::DELETE, path.clone(), &step),
                (Method::GET, format!("{path}/state"), &step),
                (Method::GET, format!("{path}/wait?after=0"), &step),
                (Method::POST, format!("{path}/snapshots"), &step),
                (Method::POST, "/ltm".into(), &create),
                (Method::POST, "/ltm?reuse=true".into(), &create),
                (Method::POST, "/ltm".into(), &choose),
            ] {
                let answer = guarded.call(&token, method, &path, body).await;
                assert_eq!(answer.0, 403, "{path}: {}", answer.1);
                of_key.push(answer.1);
            }
            let socket = format!("/ws/by-key/app.Agent/{key}");
            of_key.push(json!(guarded.close_of(&token, &socket).await));
            answers.push(of_key);
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_a_socket_by_key_and_many_follow_by_key() {
    let guarded = Guarded::start();
    let id = guarded.create("app.Agent", "k").await;
    let token = guarded.token(json!("app.*"), "read");
    let ticket = async || {
        let (_, answer) = guarded
            .call(&token, Method::POST, "/ws-ticket", &json!({}))
            .await;
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let path = format!(
        "/ws/by-key/app.Agent/k?init=state&ticket={}",
        ticket().await
    );
    let mut one = Subscriber::connect(&guarded.gateway.ws(&path))
        .await
        .unwrap();
    assert_eq!(one.message().await["id"], id);
    let path = format!("/ws?ticket={}", ticket().await);
    let mut many = Subscriber::connect(&guarded.gateway.ws(&path))
        .await
        .unwrap();
    many.say(r#"{"follow":{"fqn":"app.Agent","key":"k"},"init":"state"}"#)
        .await;
    assert_eq!(many.message().await["follow"]["key"], "k");
    assert_eq!(many.message().await["reset"]["state"], json!({}));
    for key in ["k", "none"] {
        let command = json!({"follow": {"fqn": "lib.Other", "key": key}});
        many.say(&command.to_string()).await;
        let end = many.message().await;
        assert_eq!(
            (&end["id"], &end["end"]["code"]),
            (&Value::Null, &json!(4403))
        );
    }
}
