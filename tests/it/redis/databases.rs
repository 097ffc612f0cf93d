//! Two deployments in two databases of one Redis.

use ltm_tests::{Api, RedisServer, Scrape, Service, Subscriber};
use serde_json::json;

/// The services in one database.
struct Deployment {
    api: Api,
    gateway: Service,
    _api_service: Service,
}

impl Deployment {
    fn start(redis: &RedisServer, database: u32) -> Self {
        let url = format!("redis://{}/{database}", redis.address());
        let api_service = Service::api(&url, &[]);
        Self {
            api: Api::at(&api_service),
            gateway: Service::gateway(&url, &[]),
            _api_service: api_service,
        }
    }
}

/// Both have an LTM with the same id and the same history, so an entry of one would fit the other.
#[tokio::test(flavor = "multi_thread")]
async fn deployments_in_two_databases_never_hear_each_other() {
    const ID: u64 = 7;
    let redis = RedisServer::start(&[]);
    let deployments = [0, 5].map(|database| Deployment::start(&redis, database));
    let mut subscribers = Vec::new();
    for Deployment { api, gateway, .. } in &deployments {
        let body =
            json!({"id": ID, "fqn": "app.Agent", "state": {}, "time": "2026-01-01T00:00:00Z"});
        api.post("/ltm", &body).await.expect(200);
        let url = gateway.ws(&format!("/ws/{ID}?live=1"));
        let mut subscriber = Subscriber::connect(&url).await.unwrap();
        assert_eq!(subscriber.message().await["live"], true);
        subscribers.push(subscriber);
    }
    for n in 0..20 {
        let number = n % 2;
        let merge = json!({"merge": {"n": n}});
        deployments[number].api.append(ID, merge).await;
        let message = subscribers[number].message().await;
        assert_eq!(message["snapshot"]["patch"][0]["value"], n, "{message}");
    }
    for Deployment { gateway, .. } in &deployments {
        let scrape = Scrape::of(gateway).await;
        assert_eq!(scrape.value("ltm_gaps_total"), 0.0);
    }
}
