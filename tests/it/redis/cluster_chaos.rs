//! Producers and followers run while the slots of a Redis Cluster move and its primaries die.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use futures_util::future::join_all;
use ltm_tests::{Api, Cluster, LIMIT, RedisServer, Service, SigningKey};
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::chaos::{
    Length,
    connection::{Tokens, Wire},
    follower::{End, Follower, Received, Seen},
    lengths_of,
    log::{Logged, Loss, read_log, read_log_on_cluster},
    producer::{Producer, Write},
    proof::{Proof, States},
    story::{Failure, Story},
};

/// How many producers each LTM has.
const PRODUCERS: usize = 2;

/// The cluster and the services on it.
struct World {
    cluster: Cluster,
    /// For each place: whether the replica is the primary now.
    is_swapped: [bool; 3],
    /// The place of each LTM.
    places: HashMap<u64, usize>,
    losses: HashMap<u64, Vec<Loss>>,
    apis: Vec<Service>,
    gateways: Vec<Service>,
}

/// What somebody records of one LTM.
struct Watched {
    id: u64,
    end: End,
    producers: Vec<JoinHandle<Result<Vec<Write>, Failure>>>,
    followers: Vec<(String, Received, JoinHandle<()>)>,
}

impl World {
    async fn start() -> Self {
        let cluster = Cluster::start(true).await;
        let nodes = cluster.nodes();
        let settings = [
            &cluster.settings(&nodes)[..],
            &[
                ("LTM__REDIS__WAIT_REPLICAS", "1"),
                ("LTM__REDIS__WAIT_TIMEOUT", "500ms"),
                ("LTM__API__CHECKPOINT_EVERY", "20"),
                ("LTM__GATEWAY__SWEEP_INTERVAL", "1s"),
            ],
        ]
        .concat();
        let url = "redis://127.0.0.1:1/0";
        let mut world = Self {
            cluster,
            is_swapped: [false; 3],
            places: HashMap::new(),
            losses: HashMap::new(),
            apis: (0..2).map(|_| Service::api(url, &settings)).collect(),
            gateways: (0..2).map(|_| Service::gateway(url, &settings)).collect(),
        };
        for service in world.apis.iter().chain(&world.gateways) {
            Api::at(service).until_ready_is(200).await;
        }
        let api = Api::at(&world.apis[0]);
        for place in 0..3 {
            let id = loop {
                let (id, _) = api.create(json!({})).await;
                if world.cluster.place(id) == place {
                    break id;
                }
            };
            world.places.insert(id, place);
            world.losses.insert(id, Vec::new());
        }
        world
    }

    /// The primary and the replica of a place.
    fn pair(&self, place: usize) -> (&RedisServer, &RedisServer) {
        let (first, second) = (
            &self.cluster.primaries[place],
            &self.cluster.replicas[place],
        );
        if self.is_swapped[place] {
            (second, first)
        } else {
            (first, second)
        }
    }

    /// Moves the slot of an LTM to another primary.
    async fn move_slot(&mut self, rng: &mut Rng, story: &Story) {
        let ids: Vec<u64> = self.places.keys().copied().collect();
        let id = *rng.choice(&ids).unwrap();
        let from = self.places[&id];
        let to = (from + rng.usize(1..3)) % 3;
        let pause = Duration::from_millis(rng.u64(0..500));
        story.fault(format_args!(
            "the slot of LTM {id} moves from {from} to {to}, with a pause of {pause:?}"
        ));
        let (old, new) = (self.pair(from).0, self.pair(to).0);
        self.cluster
            .move_slot_between(id, old, new, async || sleep(pause).await)
            .await;
        self.places.insert(id, to);
        story.fault("moved");
    }

    /// Kills a primary. Its replica takes over; the old primary comes back as a replica.
    async fn kill_primary(&mut self, rng: &mut Rng, story: &Story) {
        let place = rng.usize(..3);
        story.fault(format_args!("primary {place} dies"));
        let (primary, replica) = self.pair(place);
        // It takes no more writes, so nobody can have seen more.
        primary.cli(&["CLIENT", "PAUSE", "600000", "WRITE"]);
        let here = self.places.iter().filter(|(_, at)| **at == place);
        let ids: Vec<u64> = here.map(|(id, _)| *id).collect();
        let before: Vec<Vec<Logged>> = ids.iter().map(|&id| read_log(primary, id)).collect();
        // Before the services can notice.
        let at = story.now();
        let port = primary.address();
        let replica_address = replica.address();
        self.server(&port).kill();
        let replica = self.known(&replica_address);
        self.cluster.until_it_leads(replica).await;
        for (&id, before) in ids.iter().zip(before) {
            let after = read_log(self.known(&replica_address), id);
            let loss = Loss::of(before, &after, at);
            self.losses.entry(id).or_default().extend(loss);
        }
        self.server(&port).restart();
        self.is_swapped[place] = !self.is_swapped[place];
        self.cluster.until_it_follows(self.known(&port)).await;
        story.fault("the old primary follows");
    }

    fn server(&mut self, address: &str) -> &mut RedisServer {
        let Cluster {
            primaries,
            replicas,
        } = &mut self.cluster;
        let mut all = primaries.iter_mut().chain(replicas);
        all.find(|server| server.address() == address).unwrap()
    }

    fn known(&self, address: &str) -> &RedisServer {
        let mut all = self.cluster.primaries.iter().chain(&self.cluster.replicas);
        all.find(|server| server.address() == address).unwrap()
    }

    /// Drops the connections on which gateways listen.
    fn drop_listeners(&self, rng: &mut Rng, story: &Story) {
        let place = rng.usize(..3);
        story.fault(format_args!(
            "primary {place} drops its pub/sub connections"
        ));
        self.pair(place)
            .0
            .cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        story.fault("dropped");
    }

    async fn strike(&mut self, rng: &mut Rng, story: &Story) {
        match rng.u8(..5) {
            0 | 1 => self.move_slot(rng, story).await,
            2 | 3 => self.kill_primary(rng, story).await,
            _ => self.drop_listeners(rng, story),
        }
    }

    fn watch(&self, id: u64, story: &Story, stop: &Arc<AtomicBool>) -> Watched {
        let end = End::default();
        let produce = |number| {
            let producer = Producer {
                id,
                name: format!("LTM {id} producer {number}"),
                urls: self.apis.iter().map(Service::http).collect(),
                story: story.clone(),
                recreates: None,
            };
            tokio::spawn(producer.run(stop.clone()))
        };
        let wires = [Wire::Socket, Wire::Events, Wire::Client];
        let follow = |wire: Wire| {
            let name = format!("LTM {id} follower ({wire:?})");
            let follower = Follower {
                id,
                name: name.clone(),
                wire,
                urls: self.gateways.iter().map(|gateway| gateway.ws("")).collect(),
                tokens: Tokens::of(SigningKey::new("ES256")),
                story: story.clone(),
                stop: stop.clone(),
            };
            let received = Received::default();
            let task = tokio::spawn(follower.run(end.clone(), received.clone()));
            (name, received, task)
        };
        Watched {
            id,
            producers: (0..PRODUCERS).map(produce).collect(),
            followers: wires.into_iter().map(follow).collect(),
            end,
        }
    }

    /// Waits for the producers and the followers, and proves what is promised about one LTM.
    async fn check(&self, ltm: Watched, story: &Story) -> Result<usize, Failure> {
        let mut writes = Vec::new();
        for outcome in join_all(ltm.producers).await {
            writes.extend(outcome.unwrap()?);
        }
        let log = read_log_on_cluster(self.pair(0).0, ltm.id);
        let head = log.last().expect("an LTM has an entry").cursor;
        *ltm.end.lock().unwrap() = Some(head);
        let proof = Proof {
            story,
            log: &log,
            losses: &self.losses[&ltm.id],
            may_lose: false,
        };
        proof.writes(&writes)?;
        let mut states = States::new(story);
        for entry in &log {
            states.observe("the log", entry.cursor, &entry.state)?;
        }
        let mut messages = 0;
        for (name, received, mut task) in ltm.followers {
            // If a follower does not arrive, the proof shows where it stands.
            if timeout(LIMIT, &mut task).await.is_err() {
                task.abort();
            }
            let seen: Vec<Seen> = received.take();
            messages += seen.len();
            proof.followed(&name, &seen)?;
        }
        Ok(messages)
    }
}

async fn run(seed: u64, length: Length) -> Result<(), Failure> {
    eprintln!("LTM_CHAOS_SEED={seed} {length:?}");
    let mut rng = Rng::with_seed(seed);
    let mut world = World::start().await;
    let (story, stop) = (Story::new(), Arc::new(AtomicBool::new(false)));
    let mut ids: Vec<u64> = world.places.keys().copied().collect();
    ids.sort_unstable();
    let watched: Vec<Watched> = ids
        .iter()
        .map(|&id| world.watch(id, &story, &stop))
        .collect();
    while length.goes_on(&story) {
        world.strike(&mut rng, &story).await;
        sleep(Duration::from_millis(rng.u64(0..400))).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut messages = 0;
    for ltm in watched {
        messages += world.check(ltm, &story).await?;
    }
    let lost: usize = world
        .losses
        .values()
        .flatten()
        .map(|loss| loss.entries.len())
        .sum();
    let faults = story.faults();
    eprintln!("seed {seed}: {faults} faults, {messages} messages, {lost} entries were lost");
    assert!(messages > 10, "nothing happened");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_slots_and_dead_primaries_lose_nothing_and_mislead_nobody() {
    for (seed, length) in lengths_of(&[(1, 3)]) {
        if let Err(failure) = run(seed, length).await {
            panic!("seed {seed}: {failure}");
        }
    }
}
