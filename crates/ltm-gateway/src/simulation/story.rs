//! A story: what happens to the logs, the network and the clients, one action after the other.

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use ltm_types::{Cursor, Entry, LtmId};
use proptest::prelude::*;
use tokio::{
    runtime::Builder,
    task::{LocalSet, yield_now},
    time::sleep,
};

use super::{
    client::Client,
    log_lines::LogLines,
    thread::{Fate, Gateway, GatewayThread},
    world::World,
};
use crate::{
    compression::negotiation::Agreement,
    settings::GatewaySettings,
    subscriber::follow_request::{FollowOptions, Start},
};

const LTMS: u64 = 3;
const THREADS: usize = 2;
const CLIENTS: usize = 4;
/// The longest time between a fault and its repair: a comparison with Redis, then what was retried before.
const REPAIR: Duration = Duration::from_secs(5);
/// The longest retries: a pause of the comparison and one of the subscription, each of up to two seconds and the way
/// to Redis, twice.
const RETRIES: Duration = Duration::from_millis(5100);
/// How often a slow client reads a little after the story, and how many bytes.
const SLOW_READS: usize = 10;
const SLOW_READ: usize = 400;
/// The capacity of a socket whose client reads at once.
const FAST: usize = 1 << 20;

/// One step of a story.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// An engine appends a snapshot of about this size; the first one creates the LTM.
    Append(u64, usize, [Fate; THREADS]),
    /// An API writes an entry again that the log has lost.
    Repeat(u64, [Fate; THREADS]),
    /// The log loses its last entries, and an engine writes others.
    Lose(u64, usize, usize, [Fate; THREADS]),
    /// Redis comes back empty.
    LoseAll(u64),
    Trim(u64, usize),
    Delete(u64, [Fate; THREADS]),
    Copy(u64, u64),
    Connect {
        client: usize,
        id: u64,
        thread: usize,
        from: From,
        live: bool,
        capacity: usize,
    },
    /// A client reads bytes.
    Read(usize, usize),
    Leave(usize),
    /// The live connection of a thread is down for some milliseconds.
    Cut(usize, u64),
    /// The queue of live entries of a thread was full.
    Overflow(usize),
    /// The next questions to Redis fail.
    Fail(u32),
    /// A thread of the gateway is replaced.
    Restart(usize),
    /// Nothing happens for some milliseconds.
    Wait(u64),
}

/// Where a client starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Now,
    State,
    Origin,
    /// With the cursor that it has, if it has followed this LTM.
    Resume,
    /// With one of the heads that the log has had, counted from the last.
    Head(usize),
    /// With the last possible cursor.
    Nowhere,
}

fn fates() -> impl Strategy<Value = [Fate; THREADS]> {
    let fate = prop_oneof![
        5 => Just(Fate::Arrives),
        2 => (0u64..40).prop_map(Fate::Late),
        2 => Just(Fate::Lost),
    ];
    [fate.clone(), fate]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        2 => Just(From::Now),
        2 => Just(From::State),
        3 => Just(From::Origin),
        3 => Just(From::Resume),
        3 => (0usize..6).prop_map(From::Head),
        1 => Just(From::Nowhere),
    ]
}

fn connect() -> impl Strategy<Value = Action> {
    let capacity = prop_oneof![1 => Just(FAST), 1 => 1usize..1500];
    let what = (0..CLIENTS, id(), thread());
    (what, from(), any::<bool>(), capacity).prop_map(
        |((client, id, thread), from, live, capacity)| Action::Connect {
            client,
            id,
            thread,
            from,
            live,
            capacity,
        },
    )
}

/// Mostly the first LTM and the first thread, so that what happens has to do with what happened.
fn id() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![4 => Just(1), 1 => 2..=LTMS]
}

fn thread() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![3 => Just(0), 1 => 1..THREADS]
}

pub(super) fn action() -> impl Strategy<Value = Action> {
    let id = id();
    prop_oneof![
        20 => (id.clone(), 0usize..600, fates()).prop_map(|(id, size, fates)| Action::Append(id, size, fates)),
        2 => (id.clone(), fates()).prop_map(|(id, fates)| Action::Repeat(id, fates)),
        4 => (id.clone(), 1usize..4, 0usize..3, fates()).prop_map(|(id, lost, other, fates)| Action::Lose(id, lost, other, fates)),
        1 => id.clone().prop_map(Action::LoseAll),
        2 => (id.clone(), 0usize..4).prop_map(|(id, left)| Action::Trim(id, left)),
        2 => (id.clone(), fates()).prop_map(|(id, fates)| Action::Delete(id, fates)),
        1 => (id.clone(), id).prop_map(|(from, to)| Action::Copy(from, to)),
        12 => connect(),
        6 => (0..CLIENTS, 1usize..2000).prop_map(|(client, count)| Action::Read(client, count)),
        1 => (0..CLIENTS).prop_map(Action::Leave),
        2 => (thread(), 0u64..8000).prop_map(|(thread, millis)| Action::Cut(thread, millis)),
        1 => thread().prop_map(Action::Overflow),
        1 => (1u32..4).prop_map(Action::Fail),
        1 => thread().prop_map(Action::Restart),
        12 => (0u64..30).prop_map(Action::Wait),
        2 => (30u64..4000).prop_map(Action::Wait),
    ]
}

/// Small limits, so that short stories reach them.
fn settings() -> GatewaySettings {
    GatewaySettings {
        sweep_interval: REPAIR,
        queue: ByteSize::b(900),
        live_queue: ByteSize::b(2500),
        window: ByteSize::b(2500),
        page: ByteSize::b(1200),
        compression_min_size: ByteSize::b(64),
        ..GatewaySettings::default()
    }
}

/// Plays a story with this seed, and checks what every client receives.
///
/// # Errors
///
/// What is wrong.
pub(super) fn play(story: &[Action], seed: u64) -> Result<(), String> {
    // The pauses of retries are random.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let lines = LogLines::listen();
    let mut playing = String::new();
    let has_failed = LocalSet::new().block_on(&runtime, async {
        let mut stage = Stage::new(seed);
        for (number, action) in story.iter().enumerate() {
            playing = format!("after action {number}, {action:?}");
            stage.act(action).await?;
        }
        playing = "at the end".into();
        stage.rest().await?;
        let has_failed = stage.gateway.world.logs().has_failed;
        Ok(has_failed)
    });
    let checked = has_failed.and_then(|has_failed| lines.check(has_failed));
    checked.map_err(|wrong: String| format!("{playing}: {wrong}"))
}

struct Stage {
    gateway: Gateway,
    threads: Vec<GatewayThread>,
    clients: [Option<Client>; CLIENTS],
}

impl Stage {
    fn new(seed: u64) -> Self {
        let gateway = Gateway::new(Arc::new(World::new(seed)), settings());
        Self {
            threads: (0..THREADS)
                .map(|_| GatewayThread::start(&gateway))
                .collect(),
            gateway,
            clients: Default::default(),
        }
    }

    async fn act(&mut self, action: &Action) -> Result<(), String> {
        let world = self.gateway.world.clone();
        world.logs().now += 1;
        match *action {
            Action::Append(id, size, fates) => {
                let entry = world.logs().append(ltm(id), size);
                self.publish(ltm(id), entry, fates);
            }
            Action::Repeat(id, fates) => {
                let entry = world.logs().repeat(ltm(id));
                self.publish(ltm(id), entry, fates);
            }
            Action::Lose(id, lost, other, fates) => {
                world.logs().lose(ltm(id), lost);
                for _ in 0..other {
                    let entry = world.logs().append(ltm(id), 10);
                    self.publish(ltm(id), entry, fates);
                }
            }
            Action::LoseAll(id) => world.logs().lose_all(ltm(id)),
            Action::Trim(id, left) => world.logs().trim(ltm(id), left),
            Action::Delete(id, fates) => {
                let entry = world.logs().delete(ltm(id));
                self.publish(ltm(id), entry, fates);
            }
            Action::Copy(from, to) => world.logs().copy(ltm(from), ltm(to)),
            Action::Connect {
                client,
                id,
                thread,
                from,
                live,
                capacity,
            } => {
                let start = self.start(client, ltm(id), from);
                let options = FollowOptions { start, live };
                self.connect(client, thread, ltm(id), options, capacity);
            }
            Action::Read(client, count) => {
                if let Some(client) = &mut self.clients[client] {
                    client.read(count)?;
                }
            }
            Action::Leave(client) => self.clients[client] = None,
            Action::Cut(thread, millis) => self.threads[thread].cut(millis),
            Action::Overflow(thread) => self.threads[thread].overflow(),
            Action::Fail(count) => world.logs().failing = count,
            Action::Restart(thread) => {
                self.threads[thread] = GatewayThread::start(&self.gateway);
                self.come_back(|client| client.thread == thread);
            }
            Action::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        }
        yield_now().await;
        self.read(|client| client.capacity == FAST)?;
        self.come_back(|client| matches!(client.closed, Some(1013 | 4409)));
        Ok(())
    }

    fn publish(&self, id: LtmId, entry: Option<Entry>, fates: [Fate; THREADS]) {
        if let Some(entry) = entry {
            for (thread, fate) in self.threads.iter().zip(fates) {
                thread.publish(id, &entry, fate);
            }
        }
    }

    fn start(&self, client: usize, id: LtmId, from: From) -> Start {
        let own = self.clients[client].as_ref();
        let own = own.filter(|it| it.id == id).and_then(|it| it.cursor);
        let logs = self.gateway.world.logs();
        match from {
            From::Now => Start::Now,
            From::State => Start::State,
            From::Origin => Start::After(Cursor::ORIGIN),
            From::Resume => Start::After(own.unwrap_or(Cursor::ORIGIN)),
            From::Head(back) => {
                let head = logs.heads_of(id).iter().rev().nth(back).copied();
                Start::After(head.unwrap_or(Cursor::ORIGIN))
            }
            From::Nowhere => Start::After(Cursor {
                seq: u64::MAX,
                check: u64::MAX,
            }),
        }
    }

    fn connect(
        &mut self,
        client: usize,
        thread: usize,
        id: LtmId,
        options: FollowOptions,
        capacity: usize,
    ) {
        let on = (&self.threads[thread], thread);
        // Most clients inflate: one with a small window, and one without context.
        let compression = (!client.is_multiple_of(4)).then_some(Agreement {
            takeover: client % 4 != 3,
            max_window_bits: (client % 4 == 2).then_some(10),
        });
        let connected = Client::connect(&self.gateway, on, id, options, capacity, compression);
        self.clients[client] = Some(connected);
    }

    /// Reconnects clients as the documentation tells them to: with the last cursor, or with the state if there is none
    /// or the log does not continue it.
    fn come_back(&mut self, which: impl Fn(&Client) -> bool) {
        for number in 0..CLIENTS {
            let Some(client) = self.clients[number].as_ref().filter(|it| which(it)) else {
                continue;
            };
            let start = match client.cursor {
                Some(cursor) if client.closed != Some(4409) => Start::After(cursor),
                _ => Start::State,
            };
            let options = FollowOptions {
                start,
                ..client.options
            };
            let (thread, id, capacity) = (client.thread, client.id, client.capacity);
            self.connect(number, thread, id, options, capacity);
        }
    }

    fn read(&mut self, which: impl Fn(&Client) -> bool) -> Result<(), String> {
        for client in self.clients.iter_mut().flatten().filter(|it| which(it)) {
            client.read(usize::MAX)?;
        }
        Ok(())
    }

    /// Lets time pass without an event, and checks that every client has everything.
    async fn rest(&mut self) -> Result<(), String> {
        self.gateway.world.logs().failing = 0;
        // Slow clients read on as slowly, and then at once.
        for _ in 0..SLOW_READS {
            for client in self.clients.iter_mut().flatten() {
                client.read(SLOW_READ)?;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let steps = 8;
        for _ in 0..steps {
            // Only the gateway can hold up a client now.
            self.clients.iter().flatten().for_each(Client::hurry);
            sleep((REPAIR + RETRIES) / steps).await;
            self.read(|_| true)?;
            self.come_back(|client| matches!(client.closed, Some(1013 | 4409)));
        }
        self.clients
            .iter()
            .flatten()
            .try_for_each(Client::check_end)
    }
}

fn ltm(number: u64) -> LtmId {
    LtmId::new(number).unwrap()
}
