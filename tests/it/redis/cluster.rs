//! Redis Cluster: all promises hold while nodes fail and slots move.

use std::process::Command;

use ltm_tests::{
    Api, Cluster, Follower, PASSWORD, RedisServer, Scrape, Service, Subscriber, Writer,
    add_shipped_users, binary, items, until,
};
use ltm_types::{Cursor, Entry, Kind};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// User and password are those of `redis.url`, whose address leads nowhere.
fn url(user: &str) -> String {
    format!("redis://{user}:{PASSWORD}@127.0.0.1:1/0")
}

/// An API and two gateways on a cluster.
struct World {
    /// Dropped after the services.
    api: Api,
    api_service: Service,
    gateways: Vec<Service>,
    cluster: Cluster,
}

impl World {
    async fn start(replicas: bool, settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start(replicas).await;
        for server in cluster.primaries.iter().chain(&cluster.replicas) {
            add_shipped_users(server);
        }
        let nodes = cluster.nodes();
        let settings = [&cluster.settings(&nodes), settings].concat();
        let api_service = Service::api(&url("ltm-api"), &settings);
        let gateways: Vec<Service> = (0..2)
            .map(|_| Service::gateway(&url("ltm-gateway"), &settings))
            .collect();
        for service in gateways.iter().chain([&api_service]) {
            Api::at(service).until_ready_is(200).await;
        }
        Self {
            api: Api::at(&api_service),
            api_service,
            gateways,
            cluster,
        }
    }

    fn urls(&self, id: u64) -> Vec<String> {
        let url = |gateway: &Service| gateway.ws(&format!("/ws/{id}"));
        self.gateways.iter().map(url).collect()
    }

    /// LTMs until there are some on each primary; gives one of each, by the place of the primary.
    async fn one_on_each(&self) -> [u64; 3] {
        let mut found = [None; 3];
        while found.contains(&None) {
            let (id, _) = self.api.create(json!({"n": null})).await;
            found[self.cluster.place(id)].get_or_insert(id);
        }
        found.map(Option::unwrap)
    }

    /// Follows an LTM until its state has an `end`, by one gateway and the other.
    fn follow(&self, id: u64) -> JoinHandle<Follower> {
        let urls = self.urls(id);
        tokio::spawn(async move {
            let mut follower = Follower::default();
            let done = |f: &Follower| f.state["end"] == json!(true);
            follower.follow_until(&urls, done).await;
            follower
        })
    }

    /// Ends an LTM that somebody wrote to, and proves that it and who followed it have each write once.
    async fn end(&self, id: u64, writer: Writer, follower: JoinHandle<Follower>) -> Follower {
        let all: Vec<usize> = (0..writer.stop().await).collect();
        assert_eq!(items(&self.api, id).await, all, "LTM {id}");
        self.api.append(id, json!({"merge": {"end": true}})).await;
        let follower = follower.await.unwrap();
        let document = self.api.document(id).await;
        assert_eq!(follower.state, document["state"]);
        assert_eq!(follower.cursor.to_string(), document["cursor"]);
        follower
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_works_and_the_ltms_are_spread_over_the_primaries() {
    let world = World::start(false, &[]).await;
    let api = &world.api;
    for id in world.one_on_each().await {
        let mut subscriber = Subscriber::connect(&format!("{}?after=0", world.urls(id)[0]))
            .await
            .unwrap();
        let mut follower = Follower::default();
        follower.take(&subscriber.message().await);
        for n in 1..=3 {
            api.append(id, json!({"merge": {"n": n}})).await;
            follower.take(&subscriber.message().await);
        }
        let back = json!({"snapshot": {"index": 1}});
        api.post(&format!("/ltm/{id}/rollback"), &back)
            .await
            .expect(200);
        follower.take(&subscriber.message().await);
        assert_eq!(follower.state, json!({"n": 1}));
        assert_eq!(api.document(id).await["state"], json!({"n": 1}));
        let copy = api
            .post(&format!("/ltm/{id}/copy"), &json!({}))
            .await
            .expect(200);
        let copy = copy["copy_id"].as_u64().unwrap();
        assert_eq!(api.document(copy).await["state"], json!({"n": 1}));
        let path = format!("/ltm/{id}");
        api.send(api.request(Method::DELETE, &path))
            .await
            .expect(200);
        assert_eq!(subscriber.message().await["deleted"], true);
        assert_eq!(subscriber.close_code().await, 4410);
        api.get(&path).await.problem(410, "deleted-ltm");
    }
    let copies = api.get("/ltm?playground=true").await.expect(200);
    assert_eq!(copies.as_array().unwrap().len(), 3);
    let created = json!({"fqn": "app.Agent", "state": {}});
    for _ in 0..2 {
        let request = api.request(Method::POST, "/ltm").json(&created);
        let answer = api
            .send(request.header("Idempotency-Key", "once"))
            .await
            .expect(200);
        let page = api.get("/ltm?fqn=app.Agent").await.expect(200);
        assert_eq!(page[0]["id"], answer["id"]);
        assert_eq!(page.as_array().unwrap().len(), 1);
    }
    let mut list = Subscriber::connect(&world.gateways[0].ws("/ws/ltms"))
        .await
        .unwrap();
    let rows = api.get("/ltm").await.expect(200);
    assert_eq!(list.message().await["reset"]["rows"], rows);
    let (newest, _) = api.create(json!({})).await;
    assert_eq!(list.message().await["change"]["rows"][0]["id"], newest);
    for server in &world.cluster.primaries {
        assert_ne!(server.cli(&["DBSIZE"]), "0");
        // The shipped users may do all of it.
        assert_eq!(server.cli(&["ACL", "LOG"]), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_primary_dies_its_replica_takes_over_and_what_was_acknowledged_is_there_once() {
    let settings = [
        ("LTM__REDIS__WAIT_REPLICAS", "1"),
        ("LTM__REDIS__WAIT_TIMEOUT", "500ms"),
    ];
    let mut world = World::start(true, &settings).await;
    let ids = world.one_on_each().await;
    let begin = |id| (id, Writer::start(&world.api, id), world.follow(id));
    let work: Vec<_> = ids.into_iter().map(begin).collect();
    for (_, writer, _) in &work {
        writer.until_more(20).await;
    }
    world.cluster.primaries[1].kill();
    world.cluster.until_the_replica_leads(1).await;
    // Two are needed for a write to be acknowledged: the old primary comes back and follows.
    world.cluster.primaries[1].restart();
    add_shipped_users(&world.cluster.primaries[1]);
    for (_, writer, _) in &work {
        writer.until_more(20).await;
    }
    for (place, (id, writer, follower)) in work.into_iter().enumerate() {
        let follower = world.end(id, writer, follower).await;
        // Only a write that nobody was told of can have been lost, and only of those on that primary.
        let forked = follower.resets.iter().all(|reason| reason == "forked");
        assert!(forked && (place == 1 || follower.resets.is_empty()));
    }
    for service in world.gateways.iter().chain([&world.api_service]) {
        Api::at(service).until_ready_is(200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slots_are_moved_nothing_is_lost_and_nothing_comes_twice() {
    let world = World::start(false, &[]).await;
    let [id, elsewhere, _] = world.one_on_each().await;
    let begin = |id| (id, Writer::start(&world.api, id), world.follow(id));
    let work = [begin(id), begin(elsewhere)];
    for (_, writer, _) in &work {
        writer.until_more(20).await;
    }
    world
        .cluster
        // Some of its keys are here and some there: a script has to wait. Others go on.
        .move_slot(id, 1, async || work[1].1.until_more(20).await)
        .await;
    for (_, writer, _) in &work {
        writer.until_more(20).await;
    }
    // The gateways listen where it is now.
    let channel = format!("ltm:0:{{{id}}}:live");
    let listening = |server: &RedisServer| {
        let count = server.cli(&["PUBSUB", "SHARDNUMSUB", &channel]);
        count.lines().last().unwrap().parse::<u32>().unwrap() > 0
    };
    until("the gateways listen on the new primary", async || {
        listening(&world.cluster.primaries[1])
    })
    .await;
    assert!(!listening(&world.cluster.primaries[0]));
    for (id, writer, follower) in work {
        let follower = world.end(id, writer, follower).await;
        assert!(follower.resets.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_slot_is_moved_its_ltm_and_the_others_are_read_without_an_error() {
    let world = World::start(false, &[("LTM__GATEWAY__SWEEP_INTERVAL", "100ms")]).await;
    let [moving, mut staying, _] = world.one_on_each().await;
    while world.cluster.place(staying) != world.cluster.place(moving) {
        (staying, _) = world.api.create(json!({"n": null})).await;
    }
    let gateway = &world.gateways[0];
    let mut socket = Subscriber::connect(&gateway.ws("/ws")).await.unwrap();
    for id in [moving, staying] {
        let follow = json!({"follow": id, "live": 1});
        socket.say(&follow.to_string()).await;
        assert_eq!(socket.message().await["live"], true);
    }
    let [from, to] = [0, 1].map(|place| &world.cluster.primaries[place]);
    let mut head = world.api.document(staying).await["cursor"].clone();
    let silently = async |socket: &mut Subscriber, head: &mut Value| {
        let cursor = append_silently(from, staying, head.as_str().unwrap());
        assert_eq!(socket.message().await["cursor"], cursor);
        *head = json!(cursor);
    };
    silently(&mut socket, &mut head).await;
    let errors = async || {
        let of = async |it| Scrape::of(it).await.value("ltm_redis_errors_total");
        (of(gateway).await, of(&world.api_service).await)
    };
    let before = errors().await;
    let document = world.api.document(moving).await;
    world
        .cluster
        .move_slot(moving, 1, async || {
            // All of its keys are there, and the slot is still here.
            let slot = world.cluster.slot(moving);
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
            let address = to.address();
            let (host, port) = address.split_once(':').unwrap();
            for key in keys.lines() {
                from.cli(&["MIGRATE", host, port, key, "0", "5000"]);
            }
            for _ in 0..3 {
                assert_eq!(world.api.document(moving).await, document);
                silently(&mut socket, &mut head).await;
            }
        })
        .await;
    assert_eq!(errors().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_primary_has_is_out_of_reach_without_it_and_the_rest_goes_on() {
    let mut world = World::start(false, &[]).await;
    let [away, here, _] = world.one_on_each().await;
    let mut subscriber = Subscriber::connect(&world.urls(here)[0]).await.unwrap();
    let mut waiting = Subscriber::connect(&world.urls(away)[0]).await.unwrap();
    world.cluster.primaries[0].kill();
    let step = json!({"reason": "execute", "merge": {"n": 1}});
    let path = format!("/ltm/{away}/snapshots");
    world
        .api
        .post(&path, &step)
        .await
        .problem(503, "unavailable");
    for n in 1..=3 {
        world.api.append(here, json!({"merge": {"n": n}})).await;
        let message = subscriber.message().await;
        assert_eq!(message["snapshot"]["patch"][0]["value"], n, "{message}");
    }
    for service in world.gateways.iter().chain([&world.api_service]) {
        Api::at(service).until_ready_is(200).await;
    }
    world.cluster.primaries[0].restart();
    add_shipped_users(&world.cluster.primaries[0]);
    until("the API writes to the LTM again", async || {
        let answer = world.api.post(&path, &step).await;
        if answer.status == 201 {
            return Ok(());
        }
        Err(answer.problem(503, "unavailable"))
    })
    .await;
    let message = waiting.message().await;
    assert_eq!(message["snapshot"]["patch"][0]["value"], 1, "{message}");
}

/// Adds an entry to a log without its live message: only a comparison with the log can find it.
fn append_silently(server: &RedisServer, id: u64, previous: &str) -> String {
    let lost = json!({"time": "2026-01-01T00:00:00.000000Z", "reason": "execute", "item": null,
        "patch": [], "execute_queue": [], "transitions_queue": []});
    let previous: Cursor = previous.parse().unwrap();
    let entry = Entry::after(previous, Kind::Snapshot, lost.to_string().into());
    let (cursor, log) = (entry.cursor.to_string(), format!("ltm:{{{id}}}:log"));
    server.cli(&["XADD", &log, &cursor, "snapshot", &entry.payload]);
    let meta = format!("ltm:{{{id}}}:meta");
    server.cli(&["HSET", &meta, "cursor", &cursor, "snapshots_count", "2"]);
    cursor
}

/// The third primary has no list and no counter.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_is_down_the_ltms_of_the_others_are_repaired_listed_and_swept() {
    let settings = [
        ("LTM__GATEWAY__SWEEP_INTERVAL", "200ms"),
        ("LTM__API__RETENTION_INTERVAL", "200ms"),
    ];
    let mut world = World::start(false, &settings).await;
    let api = &world.api;
    let mut idle = None;
    while idle.is_none() {
        let body = json!({"fqn": "tests.Ltm", "retention": {"idle_ttl": "1h"}});
        let created = api.post("/ltm", &body).await.expect(200);
        idle = created["id"]
            .as_u64()
            .filter(|&id| world.cluster.place(id) != 2);
    }
    let idle = idle.unwrap();
    let [here, there, away] = world.one_on_each().await;
    // One socket follows an LTM on each.
    let mut socket = Subscriber::connect(&world.gateways[0].ws("/ws"))
        .await
        .unwrap();
    for id in [here, there, away] {
        socket
            .say(&json!({"follow": id, "live": 1}).to_string())
            .await;
        assert_eq!(socket.message().await["live"], true);
    }
    let rows = api.get("/ltm").await.expect(200);
    let mut list = Subscriber::connect(&world.gateways[0].ws("/ws/ltms"))
        .await
        .unwrap();
    assert_eq!(list.message().await["reset"]["rows"], rows);

    world.cluster.primaries[2].kill();
    for (id, place) in [(here, 0), (there, 1)] {
        let head = api.document(id).await["cursor"]
            .as_str()
            .unwrap()
            .to_owned();
        let cursor = append_silently(&world.cluster.primaries[place], id, &head);
        let message = socket.message().await;
        assert_eq!(
            (&message["id"], &message["cursor"]),
            (&json!(id), &json!(cursor))
        );
    }
    let listed = api.get("/ltm").await;
    assert_eq!(listed.header("ltm-incomplete"), "true");
    let ids: Vec<u64> = listed
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_u64().unwrap())
        .collect();
    assert!(ids.contains(&here) && ids.contains(&there) && !ids.contains(&away));
    // The live list goes on, and what cannot be read stays as it was.
    let (mut changed, mut removed) = (Vec::new(), Vec::new());
    while !(changed.contains(&json!(here)) && changed.contains(&json!(there))) {
        let message = list.message().await;
        let of = |part: &str| message["change"][part].as_array().unwrap().clone();
        changed.extend(of("rows").iter().map(|row| row["id"].clone()));
        removed.extend(of("removed"));
    }
    assert!(removed.is_empty(), "{removed:?}");

    let place = world.cluster.place(idle);
    let meta = format!("ltm:{{{idle}}}:meta");
    let past = [
        "HSET",
        &meta,
        "written_at",
        "0",
        "updated_at",
        "2026-01-01T00:00:00Z",
    ];
    world.cluster.primaries[place].cli(&past);
    until("the idle LTM is deleted", async || {
        api.get(&format!("/ltm/{idle}/state")).await.status == 410
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_not_taken_for_a_redis_nor_the_other_way_round() {
    let (cluster, single) = (Cluster::start(false).await, RedisServer::start(&[]));
    let nodes = single.address();
    let cases = [
        (cluster.primaries[0].url(), vec![], "redis.cluster_nodes"),
        (
            single.url(),
            vec![("LTM__REDIS__CLUSTER_NODES", nodes.as_str())],
            "cluster",
        ),
    ];
    for (url, settings, named) in cases {
        for service in [
            Service::api(&url, &settings),
            Service::gateway(&url, &settings),
        ] {
            let api = Api::at(&service);
            api.until_ready_is(503).await;
            let problem = api.get_root("/readyz").await.problem(503, "unavailable");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(named), "{detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_looks_at_every_primary_and_names_one_that_is_away() {
    let mut world = World::start(false, &[]).await;
    world.one_on_each().await;
    let nodes = world.cluster.nodes();
    let doctor = |cluster: &Cluster| {
        let output = Command::new(binary("ltm"))
            .args(["--json", "doctor"])
            .envs(cluster.settings(&nodes))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let findings = text.lines().map(|line| serde_json::from_str(line).unwrap());
        findings.collect::<Vec<Value>>()
    };
    let of = |findings: &[Value], check: &str| {
        let of_check = findings.iter().filter(|it| it["check"] == check);
        of_check.map(|it| it["server"].clone()).collect::<Vec<_>>()
    };
    let findings = doctor(&world.cluster);
    assert_eq!(of(&findings, "memory").len(), 3);
    let keys = findings.iter().find(|it| it["check"] == "keys").unwrap();
    assert_eq!(keys["is"], "all belong together");
    world.cluster.primaries[2].kill();
    let away = world.cluster.primaries[2].address();
    let findings = doctor(&world.cluster);
    assert_eq!(of(&findings, "INFO"), [json!(away)]);
    // The keys of the others are checked.
    assert_eq!(of(&findings, "keys"), [json!(away)]);
}

/// The ids on a list.
async fn listed(api: &Api, query: &str) -> Vec<u64> {
    let rows = api.get(&format!("/ltm?{query}")).await.expect(200);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_on_a_cluster_and_writes_do_not_need_the_primary_of_the_index() {
    let settings = [
        ("LTM__API__LIST_INTERVAL", "200ms"),
        ("LTM__API__LIST_CHECK_INTERVAL", "200ms"),
    ];
    let mut world = World::start(false, &settings).await;
    let api = &world.api;
    let ids = world.one_on_each().await;
    let mut newest = ids;
    newest.sort_unstable_by(|a, b| b.cmp(a));
    for (id, status) in ids.iter().flat_map(|id| [(id, "active"), (id, "error")]) {
        api.append(*id, json!({"merge": {"_status": status}})).await;
        for query in [
            format!("status={status}"),
            format!("status={status}&fqn=tests.*"),
        ] {
            assert!(listed(api, &query).await.contains(id), "{query}");
        }
    }
    assert_eq!(listed(api, "status=active").await, Vec::<u64>::new());
    let mut list = Subscriber::connect(&world.gateways[0].ws("/ws/ltms?status=error"))
        .await
        .unwrap();
    assert_eq!(
        list.message().await["reset"]["rows"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    let slot = world.cluster.primaries[0].cli(&["CLUSTER", "KEYSLOT", "ltm:{list}:terms"]);
    let place = (slot.parse::<usize>().unwrap() * 3 + 2) / 16384;
    world.cluster.primaries[place].kill();
    let (api, cluster) = (&world.api, &mut world.cluster);
    let id = *ids.iter().find(|id| cluster.place(**id) != place).unwrap();
    api.append(id, json!({"merge": {"_status": "finished"}}))
        .await;
    api.get("/ltm?status=finished")
        .await
        .problem(503, "unavailable");
    cluster.primaries[place].restart();
    add_shipped_users(&cluster.primaries[place]);
    until("the list is as the LTMs are", async || {
        let answer = api.get("/ltm?status=finished").await;
        if answer.status == 200 && answer.json()[0]["id"] == id {
            Ok(())
        } else {
            Err(answer.text)
        }
    })
    .await;
    let left: Vec<u64> = newest.into_iter().filter(|it| *it != id).collect();
    assert_eq!(listed(api, "status=error").await, left);
}
