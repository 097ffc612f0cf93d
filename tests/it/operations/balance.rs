//! HAProxy, as it is deployed, spreads subscribers over gateways.

use ltm_tests::{Api, Haproxy, RedisServer, Scrape, Service, Subscriber};
use serde_json::json;

struct Deployment {
    haproxy: Haproxy,
    gateways: Vec<Service>,
    client: Api,
    _api: Service,
    _redis: RedisServer,
}

impl Deployment {
    /// With a gateway for each of these limits of subscribers.
    async fn start(limits: &[&str]) -> Self {
        let redis = RedisServer::start(&[]);
        let api = Service::api(&redis.url(), &[]);
        let gateway = |limit: &&str| {
            Service::gateway(&redis.url(), &[("LTM__GATEWAY__MAX_SUBSCRIBERS", limit)])
        };
        let gateways: Vec<_> = limits.iter().map(gateway).collect();
        let haproxy = Haproxy::start(&[&api], &gateways.iter().collect::<Vec<_>>());
        for number in 0..gateways.len() {
            let name = format!("gateway{number}");
            haproxy.until_seen("gateway", &name, "UP").await;
        }
        Self {
            haproxy,
            gateways,
            client: Api::at(&api),
            _api: api,
            _redis: redis,
        }
    }

    /// So many subscribers of each of so many LTMs, in no order.
    async fn subscribe(&self, ltms: usize, each: usize) -> Vec<Subscriber> {
        let mut wanted = Vec::new();
        for _ in 0..ltms {
            let id = self.client.create(json!({})).await.0;
            wanted.extend(std::iter::repeat_n(id, each));
        }
        fastrand::shuffle(&mut wanted);
        let mut subscribers = Vec::new();
        for id in wanted {
            let url = self.haproxy.ws(&format!("/ws/{id}"));
            subscribers.push(Subscriber::connect(&url).await.expect("a seat"));
        }
        subscribers
    }

    async fn of_each(&self, metric: &str) -> Vec<f64> {
        let mut values = Vec::new();
        for gateway in &self.gateways {
            values.push(Scrape::of(gateway).await.value(metric));
        }
        values
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_an_ltm_mostly_share_a_gateway() {
    let deployment = Deployment::start(&["1000", "1000", "1000"]).await;
    let _subscribers = deployment.subscribe(30, 6).await;
    let followed: f64 = deployment.of_each("ltm_followed_ltms").await.iter().sum();
    // Least connections would make it over 80.
    assert!(followed < 60.0, "{followed} for 30 LTMs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_ltm_does_not_make_a_gateway_hot() {
    let deployment = Deployment::start(&["1000", "1000", "1000"]).await;
    let _subscribers = deployment.subscribe(1, 120).await;
    let seats = deployment.of_each("ltm_subscribers").await;
    assert_eq!(seats.iter().sum::<f64>(), 120.0);
    // A quarter over the average of 40, and one for rounding.
    assert!(seats.iter().all(|&seats| seats <= 51.0), "{seats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_sends_its_ltms_to_another_one() {
    let deployment = Deployment::start(&["1", "1000"]).await;
    let _subscribers = deployment.subscribe(10, 3).await;
    let seats = deployment.of_each("ltm_subscribers").await;
    assert_eq!(seats, [1.0, 29.0]);
}

/// The requests that each API has answered for an LTM by its key.
async fn answered(apis: &[Service]) -> Vec<f64> {
    let mut counts = Vec::new();
    for api in apis {
        let scrape = Scrape::of(api).await;
        let by_key = |series: &&str| {
            series.starts_with("ltm_http_requests_total") && series.contains("by-key")
        };
        let series = scrape.series();
        let of_key = series.iter().copied().filter(|series| by_key(series));
        counts.push(of_key.map(|series| scrape.value(series)).sum());
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_one_key_go_to_one_api_and_keys_are_spread_over_all_apis() {
    let redis = RedisServer::start(&[]);
    let apis = [(); 3].map(|()| Service::api(&redis.url(), &[]));
    let haproxy = Haproxy::start(&apis.iter().collect::<Vec<_>>(), &[]);
    for number in 0..apis.len() {
        haproxy
            .until_seen("api", &format!("api{number}"), "UP")
            .await;
    }
    let client = Api::at_url(&haproxy.http());
    for number in 0..24 {
        let before = answered(&apis).await;
        let key = format!("a/{number}");
        let new = json!({"fqn": "tests.Ltm", "key": key});
        client.post("/ltm", &new).await.expect(200);
        let path = format!("/ltm/by-key/tests.Ltm/a%2F{number}");
        for call in ["", "/state", "/snapshots", "/wait?after=0"] {
            client.get(&format!("{path}{call}")).await.expect(200);
        }
        let after = answered(&apis).await;
        let more: Vec<f64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        assert_eq!(more.iter().copied().fold(0.0, f64::max), 4.0, "{more:?}");
    }
    let counts = answered(&apis).await;
    assert!(counts.iter().all(|count| *count > 0.0), "{counts:?}");
}
