//! Producers, followers and faults together; at the end it is proved that nothing was lost, doubled
//! or wrong.
//!
//! `make chaos` runs it longer: `LTM_CHAOS_SEED` and `LTM_CHAOS_SECONDS` say which faults and how long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod fault;
mod follower;
mod producer;
mod proof;
mod story;
mod world;

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use futures_util::future::join_all;
use ltm_tests::{Api, LIMIT, binary};
use ltm_types::Cursor;
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::{
    fault::Fault,
    follower::{Follower, Seen},
    producer::{Producer, Write},
    proof::{Proof, read_log},
    story::{Failure, Story},
    world::{Replicas, World},
};

/// How long the faults go on where nothing is said.
const SECONDS: u64 = 12;
/// The LTMs, and the producers and followers of each.
const LTMS: usize = 2;
const PRODUCERS: usize = 3;
const FOLLOWERS: usize = 3;
/// How long a producer waits for an answer, and a follower for a message.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is run.
#[derive(Clone)]
struct Chaos {
    seed: u64,
    faults: Vec<Fault>,
    replicas: Replicas,
}

/// One LTM, those who write to it and those who follow it.
struct Watched {
    id: u64,
    end: Arc<Mutex<Option<Cursor>>>,
    producers: Vec<JoinHandle<Result<Vec<Write>, Failure>>>,
    followers: Vec<Following>,
}

/// A follower at work.
struct Following {
    name: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Chaos {
    /// Runs, and shows the fewest kinds of fault and the shortest story where something is wrong.
    async fn prove(self) {
        let (seed, seconds) = (self.seed, seconds());
        eprintln!("LTM_CHAOS_SEED={seed} LTM_CHAOS_SECONDS={seconds}");
        let Err(mut failure) = self.run().await else {
            return;
        };
        eprintln!("seed {seed}: {failure}");
        let mut needed = self;
        for fault in needed.faults.clone() {
            let mut fewer = needed.clone();
            fewer.faults.retain(|other| *other != fault);
            eprintln!("again, without {fault:?}");
            if fewer.faults.is_empty() {
                break;
            }
            if let Err(simpler) = fewer.run().await {
                (needed, failure) = (fewer, simpler);
            }
        }
        let faults = needed.faults;
        panic!("seed {seed}: of all faults, {faults:?} are enough: {failure}");
    }

    /// Whether a fault may take what was acknowledged.
    fn may_lose(&self) -> bool {
        self.faults.contains(&Fault::RedisEmptied)
            || (self.faults.contains(&Fault::FailedOver) && self.replicas != Replicas::Waited)
    }

    /// Whether a fault may take what a follower has seen.
    fn may_fork(&self) -> bool {
        self.may_lose() || self.faults.contains(&Fault::FailedOver)
    }

    async fn run(&self) -> Result<(), Failure> {
        let mut rng = Rng::with_seed(self.seed);
        let mut world = World::start(self.replicas).await;
        let story = Story::new();
        let stop = Arc::new(AtomicBool::new(false));
        let direct = Api::at(&world.apis[0].service);
        let mut watched = Vec::new();
        for _ in 0..LTMS {
            let (id, _) = direct.create(json!({})).await;
            watched.push(self.watch(id, &world, &story, &stop));
        }
        while story.now() < Duration::from_secs(seconds()) {
            let fault = Fault::any(&self.faults, &mut rng);
            fault.strike(&mut world, &mut rng, &story).await;
            sleep(Duration::from_millis(rng.u64(0..400))).await;
        }
        stop.store(true, Ordering::SeqCst);
        let mut entries = 0;
        for ltm in watched {
            entries += self.check(ltm, &world, &story).await?;
        }
        verify(&world, &story)?;
        let faults = story.faults() / 2;
        eprintln!("{faults} faults, {entries} entries, each seen once by {FOLLOWERS} followers");
        assert!(faults > 0 && entries > 10, "nothing happened");
        Ok(())
    }

    fn watch(&self, id: u64, world: &World, story: &Story, stop: &Arc<AtomicBool>) -> Watched {
        let end = Arc::default();
        let produce = |number| {
            let producer = Producer {
                id,
                name: format!("LTM {id} producer {number}"),
                urls: world.api_urls(),
                story: story.clone(),
                recreates: self.may_lose(),
            };
            tokio::spawn(producer.run(stop.clone()))
        };
        let follow = |number: usize| {
            let mut urls = world.gateway_urls();
            urls.rotate_left(number % 2);
            let name = format!("LTM {id} follower {number}");
            let follower = Follower {
                id,
                name: name.clone(),
                urls,
                story: story.clone(),
            };
            let seen = Arc::default();
            let task = tokio::spawn(follower.run(Arc::clone(&end), Arc::clone(&seen)));
            Following { name, seen, task }
        };
        Watched {
            id,
            producers: (0..PRODUCERS).map(produce).collect(),
            followers: (0..FOLLOWERS).map(follow).collect(),
            end,
        }
    }

    /// Waits until everybody is done, and proves everything about one LTM; gives its entries.
    async fn check(&self, ltm: Watched, world: &World, story: &Story) -> Result<usize, Failure> {
        let mut writes = Vec::new();
        for outcome in join_all(ltm.producers).await {
            writes.extend(outcome.unwrap()?);
        }
        let log = read_log(&world.redis, ltm.id);
        *ltm.end.lock().unwrap() = log.last().map(|entry| entry.cursor);
        let mut followers = Vec::new();
        for Following {
            name,
            seen,
            mut task,
        } in ltm.followers
        {
            // Who does not arrive is found out by what it saw.
            if timeout(LIMIT, &mut task).await.is_err() {
                task.abort();
            }
            followers.push((name, std::mem::take(&mut *seen.lock().unwrap())));
        }
        let proof = Proof {
            story,
            log: &log,
            may_lose: self.may_lose(),
            may_fork: self.may_fork(),
        };
        proof.writes(&writes)?;
        for (name, seen) in &followers {
            proof.followed(name, seen)?;
        }
        proof.agreed(&followers)?;
        Ok(log.len())
    }
}

/// `ltm verify` must find nothing.
fn verify(world: &World, story: &Story) -> Result<(), Failure> {
    let verified = Command::new(binary("ltm"))
        .args(["verify", "--all", "--redis", &world.redis.url()])
        .output()
        .unwrap();
    if verified.status.success() {
        return Ok(());
    }
    let what = format!("ltm verify: {verified:?}");
    Err(story.failure(what, "", Default::default(), ""))
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

fn seconds() -> u64 {
    setting("LTM_CHAOS_SECONDS").unwrap_or(SECONDS)
}

fn any_seed() -> u64 {
    setting("LTM_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..))
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_known_seed_lose_nothing_and_mislead_nobody() {
    let chaos = Chaos {
        seed: 1,
        faults: Fault::KEEPING.to_vec(),
        replicas: Replicas::None,
    };
    chaos.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_any_seed_lose_nothing_and_mislead_nobody() {
    let chaos = Chaos {
        seed: any_seed(),
        faults: Fault::KEEPING.to_vec(),
        replicas: Replicas::None,
    };
    chaos.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_with_failovers_that_lose_writes_mislead_nobody() {
    let losing = [Fault::FailedOver, Fault::RedisEmptied];
    let chaos = Chaos {
        seed: any_seed(),
        faults: [Fault::KEEPING, &losing].concat(),
        replicas: Replicas::Behind,
    };
    chaos.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_with_failovers_and_wait_replicas_lose_nothing() {
    let chaos = Chaos {
        seed: any_seed(),
        faults: [Fault::KEEPING, &[Fault::FailedOver]].concat(),
        replicas: Replicas::Waited,
    };
    chaos.prove().await;
}
