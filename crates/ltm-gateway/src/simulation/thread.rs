//! One thread of a gateway: the topics, the fan-out and the sweep are real, and the live connection is played.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ltm_service::{LimitsHit, Tasks};
use ltm_store::{Live, LiveSource};
use ltm_types::{Entry, LtmId};
use tokio::{
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use super::world::World;
use crate::{
    fanout::{backlog::Backlog, fan_out::fan_out, run_queue::RunQueue, topics::Topics},
    metrics::GatewayMetrics,
    settings::{GatewaySettings, bytes},
    subscriber::per_ltm_limit::PerLtmLimit,
};

/// What all threads share.
pub(super) struct Gateway {
    pub world: Arc<World>,
    pub backlog: Arc<Backlog>,
    pub settings: GatewaySettings,
    limits: LimitsHit,
    limit: Arc<PerLtmLimit>,
    metrics: GatewayMetrics,
}

impl Gateway {
    pub(super) fn new(world: Arc<World>, settings: GatewaySettings) -> Self {
        let limits = LimitsHit::default();
        Self {
            backlog: Arc::new(Backlog::new(world.clone(), &settings)),
            limit: Arc::new(PerLtmLimit::new(&settings, limits.clone())),
            metrics: GatewayMetrics::new(),
            world,
            settings,
            limits,
        }
    }
}

/// What becomes of a live message on its way to one thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Arrives,
    /// It arrives after this many milliseconds, maybe after later ones.
    Late(u64),
    Lost,
}

/// One thread. Its tasks end when it is dropped.
pub(super) struct GatewayThread {
    pub topics: Rc<Topics>,
    connection: Rc<Connection>,
    tasks: Vec<JoinHandle<()>>,
}

/// The connection that entries are published to.
struct Connection {
    source: LiveSource,
    subscribed: RefCell<HashSet<LtmId>>,
    /// Counts the connections; what one of them carried is lost with it.
    number: Cell<u64>,
    is_up: Cell<bool>,
}

impl GatewayThread {
    pub(super) fn start(gateway: &Gateway) -> Self {
        let settings = &gateway.settings;
        let (live, events, source) = Live::without_listener(bytes(settings.live_queue));
        let run_queue = Rc::<RunQueue>::default();
        let topics = Topics::new(
            gateway.world.clone(),
            live,
            run_queue.clone(),
            gateway.limit.clone(),
            Tasks::default(),
            gateway.metrics.clone(),
            settings,
        );
        let connection = Rc::new(Connection {
            source,
            subscribed: RefCell::default(),
            number: Cell::new(0),
            is_up: Cell::new(true),
        });
        let fan_out = fan_out(topics.clone(), run_queue, events, gateway.limits.clone());
        let tasks = vec![
            spawn_local(fan_out),
            spawn_local(topics.clone().sweep()),
            spawn_local(connection.clone().follow_changes()),
        ];
        Self {
            topics,
            connection,
            tasks,
        }
    }

    /// Publishes an entry, as the script that appends it does.
    pub(super) fn publish(&self, id: LtmId, entry: &Entry, fate: Fate) {
        let connection = &self.connection;
        if !connection.subscribed.borrow().contains(&id) {
            return;
        }
        match fate {
            Fate::Arrives => connection.source.offer(id, entry.clone(), 0),
            Fate::Late(millis) => {
                let (connection, entry) = (connection.clone(), entry.clone());
                let number = connection.number.get();
                spawn_local(async move {
                    sleep(Duration::from_millis(millis)).await;
                    if connection.number.get() == number {
                        connection.source.offer(id, entry, 0);
                    }
                });
            }
            Fate::Lost => {}
        }
    }

    /// Cuts the connection. It is up again after this time.
    pub(super) fn cut(&self, millis: u64) {
        let connection = self.connection.clone();
        let number = connection.number.get() + 1;
        connection.number.set(number);
        connection.is_up.set(false);
        connection.subscribed.borrow_mut().clear();
        spawn_local(async move {
            sleep(Duration::from_millis(millis)).await;
            if connection.number.get() == number {
                connection.is_up.set(true);
                connection.subscribe().await;
            }
        });
    }

    /// Reports that the queue of live entries was full.
    pub(super) fn overflow(&self) {
        self.connection.source.overflow();
    }
}

impl Drop for GatewayThread {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Connection {
    /// Subscribes to what is followed, whenever that changes.
    async fn follow_changes(self: Rc<Self>) {
        let mut changes = self.source.changes();
        while changes.changed().await.is_ok() {
            sleep(Duration::from_millis(1)).await;
            if self.is_up.get() {
                self.subscribe().await;
            }
        }
    }

    async fn subscribe(&self) {
        let wanted = self.source.wanted();
        let mut new: Vec<LtmId> = {
            let mut subscribed = self.subscribed.borrow_mut();
            let new = wanted.difference(&subscribed).copied().collect();
            *subscribed = wanted;
            new
        };
        if !new.is_empty() {
            new.sort_unstable();
            self.source.subscribed(new).await;
        }
    }
}
