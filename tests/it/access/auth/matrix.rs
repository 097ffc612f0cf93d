//! Every call of every kind of caller.

use ltm_tests::SigningKey;
use reqwest::Method;
use serde_json::{Value, json};

use super::{AUDIENCE, Guarded, api_key, api_keys_file, claims, now};

/// The calls, in the order of the columns below.
const CALLS: [&str; 14] = [
    "list",
    "document",
    "snapshots",
    "state",
    "ticket",
    "follow",
    "append",
    "rollback",
    "error",
    "copy",
    "create",
    "delete",
    "revoked",
    "revoke",
];

/// What each kind of caller gets, by call: `+` an answer, `1` 401, `3` 403. The LTM is of class `app.Agent`.
const MATRIX: [(&str, &str); 26] = [
    //                     lists   writes    revocations
    //                     d s s t f a r e c c d r r
    ("nothing", "11111111111111"),
    ("garbage", "11111111111111"),
    ("basic", "11111111111111"),
    ("expired", "11111111111111"),
    ("not yet", "11111111111111"),
    ("no expiry", "11111111111111"),
    ("critical header", "11111111111111"),
    ("other audience", "11111111111111"),
    ("other key", "11111111111111"),
    ("alg none", "11111111111111"),
    ("public as secret", "11111111111111"),
    ("changed claims", "11111111111111"),
    ("no grant", "11111111111111"),
    ("unknown api key", "11111111111111"),
    ("read *", "++++++33333333"),
    ("write *", "+++++++++++333"),
    ("times with fractions", "++++++33333333"),
    ("admin *", "++++++++++++++"),
    ("read id", "++++++33333333"),
    ("admin id", "+++++++++33+33"),
    ("admin other id", "+333+333333333"),
    ("read class", "++++++33333333"),
    ("write class", "+++++++++++333"),
    ("write other class", "+333+333333333"),
    ("read api key", "++++++33333333"),
    ("write api key", "+++++++++++333"),
];

/// The `Authorization` of a kind of caller; none for who shows nothing.
fn shown(guarded: &Guarded, caller: &str, id: u64, keys: &[String; 2]) -> Option<String> {
    let key = &guarded.key;
    let all = claims("*", "admin", 3600);
    let es256 = json!({"typ": "JWT", "alg": "ES256"});
    let with = |name: &str, value: Value| {
        let mut claims = all.clone();
        claims[name] = value;
        claims
    };
    let token = match caller {
        "nothing" => return None,
        "basic" => return Some("Basic YTpi".into()),
        "garbage" => "a.b.c".into(),
        "expired" => key.token(&claims("*", "admin", -5)),
        "not yet" => key.token(&with("nbf", json!(now() + 1000))),
        "no expiry" => {
            let mut claims = all;
            claims.as_object_mut().unwrap().remove("exp");
            key.token(&claims)
        }
        "critical header" => {
            let header = json!({"alg": "ES256", "crit": ["b64"], "b64": false});
            key.token_with(&header, &all)
        }
        "times with fractions" => {
            let mut claims = claims("*", "read", 0);
            for (name, seconds) in [("exp", 600), ("nbf", -600)] {
                let time = now().checked_add_signed(seconds).unwrap();
                claims[name] = serde_json::from_str(&format!("{time}.25")).unwrap();
            }
            key.token(&claims)
        }
        "other audience" => key.token(&with("aud", json!("another service"))),
        "other key" => SigningKey::new("ES256").token(&all),
        "alg none" => {
            let signed = key.token_with(&json!({"alg": "none"}), &all);
            let (rest, _) = signed.rsplit_once('.').unwrap();
            format!("{rest}.")
        }
        "public as secret" => SigningKey::HS256(key.public().into_bytes()).token(&all),
        "changed claims" => {
            let (mine, more) = (key.token(&claims(7, "read", 3600)), key.token(&all));
            let (mine, more): (Vec<_>, Vec<_>) =
                (mine.split('.').collect(), more.split('.').collect());
            [mine[0], more[1], mine[2]].join(".")
        }
        "no grant" => key.token_with(&es256, &json!({"aud": AUDIENCE, "exp": now() + 1000})),
        "unknown api key" => "ltm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        "read *" => guarded.token("*", "read"),
        "write *" => guarded.token(json!(["*"]), "write"),
        "admin *" => guarded.admin(),
        "read id" => guarded.token(id, "read"),
        "admin id" => guarded.token(json!([id.to_string(), 1_000_000]), "read admin"),
        "admin other id" => guarded.token(id + 1_000_000, "admin"),
        "read class" => guarded.token("app.*", "read"),
        "write class" => guarded.token("app.Agent", "write"),
        "write other class" => guarded.token("lib.*", "write"),
        "read api key" => keys[0].clone(),
        "write api key" => keys[1].clone(),
        other => panic!("{other}"),
    };
    Some(format!("Bearer {token}"))
}

async fn call(guarded: &Guarded, call: &str, id: u64, shown: Option<&str>) -> u16 {
    if call == "follow" {
        let headers: Vec<(&'static str, &str)> =
            shown.into_iter().map(|s| ("authorization", s)).collect();
        return guarded.handshake(&format!("/ws/{id}"), &headers).await;
    }
    let ltm = format!("/ltm/{id}");
    let get = |path: &str| guarded.api.request(Method::GET, path);
    let post = |path: &str, body: Value| guarded.api.request(Method::POST, path).json(&body);
    let mut request = match call {
        "list" => get("/ltm"),
        "document" => get(&ltm),
        "snapshots" => get(&format!("{ltm}/snapshots")),
        "state" => get(&format!("{ltm}/state")),
        "ticket" => post("/ws-ticket", json!({})),
        "append" => post(
            &format!("{ltm}/snapshots"),
            json!({"reason": "execute", "merge": {"n": 1}}),
        ),
        "rollback" => post(
            &format!("{ltm}/rollback"),
            json!({"snapshot": {"index": 0}}),
        ),
        "error" => post(
            &format!("{ltm}/errors"),
            json!({"id": "5f0c5b1e-7d0f-4e52-a9c4-0d6f2f6c7a11", "reason": "execute", "item": {}, "retries": [],
                   "retrying": false, "success": false}),
        ),
        "copy" => post(&format!("{ltm}/copy"), json!({})),
        "create" => post("/ltm", json!({"fqn": "app.Agent"})),
        "delete" => guarded.api.request(Method::DELETE, &ltm),
        "revoked" => get("/revocations"),
        "revoke" => post("/revocations", json!({"jti": "of nobody"})),
        other => panic!("{other}"),
    };
    if let Some(shown) = shown {
        request = request.header("authorization", shown);
    }
    guarded.api.send(request).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_every_kind_of_caller_is_answered_as_the_matrix_says() {
    let (_folder, file) = api_keys_file();
    let keys = [
        api_key(&file, "reader", "app.*", "read"),
        api_key(&file, "engine", "*", "write"),
    ];
    let guarded = Guarded::with(
        SigningKey::new("ES256"),
        &[("LTM__AUTH__API_KEYS_FILE", file.to_str().unwrap())],
    );
    for (caller, row) in MATRIX {
        let mut got = String::new();
        for name in CALLS {
            let id = guarded.create("app.Agent").await;
            let shown = shown(&guarded, caller, id, &keys);
            got.push(match call(&guarded, name, id, shown.as_deref()).await {
                101 | 200 | 201 => '+',
                401 => '1',
                403 => '3',
                other => panic!("{caller}: {name}: {other}"),
            });
        }
        assert_eq!(got, row, "{caller}: {CALLS:?}");
    }
    // What was shown is nowhere in what the services say.
    for service in [&guarded.api_service, &guarded.gateway] {
        for secret in [keys[0].as_str(), keys[1].as_str(), "Bearer ", "eyJ"] {
            assert!(!service.logged(secret), "a log holds {secret}");
        }
    }
}
