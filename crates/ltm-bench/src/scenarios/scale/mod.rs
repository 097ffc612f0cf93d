//! A whole deployment at several sizes: the cost of a delivery and of an append must not grow with the number of
//! subscribers, and nothing may be lost if a gateway dies or drains.

mod crowd;
mod deployment;
mod load;
mod producers;
mod redis_cluster;
pub(crate) mod share;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    load::subscribers::Subscribers,
    report::{Row, progress::Progress, sizes},
    targets::{Channel, Kind, ltm::LtmClient, usage::kib_each},
};
use crowd::Crowd;
use deployment::{Cpu, Deployment};
pub(crate) use load::Load;
use share::{Followed, Share};

/// The gateway that is killed, and the one that is drained.
const KILLED: usize = 0;
const DRAINED: usize = 1;

/// Measures one size. Then kills a gateway and drains another one, and checks that nothing is lost.
pub(crate) fn run(load: &Load) -> Result<Row, Error> {
    let mut deployment = Deployment::start(load)?;
    let channels = producers::create(&deployment.apis(), deployment.gateway(KILLED), load)?;
    touch(&deployment, &channels[0], load)?;
    let before = deployment.memory();
    let crowd = connect(&deployment, &channels, load)?;
    let steady = measure(&deployment, &channels, &crowd, load)?;
    let after = deployment.memory();
    let (appended, recovery) = disturb(&mut deployment, &channels, &crowd, load)?;
    let deliveries = (steady.appends + appended) * u64::from(load.per_ltm);
    crowd.until_delivered(deliveries)?;
    LtmClient::new(&deployment.apis()[0], deployment.gateway(DRAINED))?.check(channels[0].id)?;
    let last = crowd.leave()?;
    if last.delivered != deliveries {
        return Err(Error::excess(last.delivered, deliveries));
    }
    let row = Row::new(sizes::SCENARIO, Kind::Live, load.shown())
        .with(sizes::SUBSCRIBERS, load.all() as f64)
        .with(sizes::MEMORY, kib_each(before, after, load.all()))
        .with("deliveries", deliveries as f64)
        .with("reconnects", last.reconnected as f64)
        .with("s to recover", recovery.as_secs_f64());
    Ok(steady.costs(row, load))
}

/// The appends while nothing else happens, and their cost.
struct Steady {
    appends: u64,
    seconds: f64,
    cpu: Cpu,
}

impl Steady {
    fn costs(&self, row: Row, load: &Load) -> Row {
        let appends = self.appends as f64;
        let each = |cpu: Duration, count: f64| cpu.as_secs_f64() * 1e6 / count;
        let deliveries = appends * f64::from(load.per_ltm);
        row.with("appends/s", appends / self.seconds)
            .with(sizes::DELIVERY, each(self.cpu.all(), deliveries))
            .with(sizes::API, each(self.cpu.api, appends))
            .with(sizes::GATEWAY, each(self.cpu.gateway, appends))
            .with(sizes::REDIS, each(self.cpu.redis, appends))
    }
}

/// Connects one subscriber to each gateway for a moment: memory that the first connection sets up is not counted.
fn touch(deployment: &Deployment, channel: &Channel, load: &Load) -> Result<(), Error> {
    let followed = (0..usize::from(load.gateways)).map(|gateway| Followed {
        gateway: deployment.gateway(gateway).into(),
        ltm: channel.id,
        cursor: channel.cursor,
    });
    let share = Share {
        source: crowd::address(0),
        followed: followed.collect(),
    };
    Subscribers::connect(share.subscriptions(), 1, Instant::now(), &|_| {})?.leave()?;
    Ok(())
}

/// Connects all subscribers.
fn connect(deployment: &Deployment, channels: &[Channel], load: &Load) -> Result<Crowd, Error> {
    let crowd = Crowd::start(deployment, channels, load)?;
    let all = load.all() as u64;
    let progress = Progress::new("scale: connecting".into(), all);
    crowd.until("subscribers are connected", all, |counted| {
        progress.at(counted.connected);
        counted.connected
    })?;
    Ok(crowd)
}

/// Appends for the time of the load, and waits for all deliveries.
fn measure(
    deployment: &Deployment,
    channels: &[Channel],
    crowd: &Crowd,
    load: &Load,
) -> Result<Steady, Error> {
    let progress = Progress::new("scale: appending".into(), load.seconds);
    let (began, before) = (Instant::now(), deployment.cpu());
    let over = || {
        progress.at(began.elapsed().as_secs());
        began.elapsed() >= Duration::from_secs(load.seconds)
    };
    let appends = producers::append(&deployment.apis(), channels, load, &over)?;
    let seconds = began.elapsed().as_secs_f64();
    crowd.until_delivered(appends * u64::from(load.per_ltm))?;
    let cpu = deployment.cpu().since(before);
    Ok(Steady {
        appends,
        seconds,
        cpu,
    })
}

/// Kills a gateway and drains another one while the appends continue. Returns the number of appends, and the time
/// until all subscribers are connected again.
fn disturb(
    deployment: &mut Deployment,
    channels: &[Channel],
    crowd: &Crowd,
    load: &Load,
) -> Result<(u64, Duration), Error> {
    let (apis, over) = (deployment.apis(), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let is_over = || over.load(Ordering::SeqCst);
        let producing = scope.spawn(move || producers::append(&apis, channels, load, &is_over));
        let disturbed = replace_gateways(deployment, crowd, load);
        let recovery = began.elapsed();
        over.store(true, Ordering::SeqCst);
        let appended = producing.join().unwrap_or(Err(Error::Panicked))?;
        disturbed.map(|()| (appended, recovery))
    })
}

/// Replaces one gateway that is killed and one that drains, and waits until their subscribers are connected again.
fn replace_gateways(deployment: &mut Deployment, crowd: &Crowd, load: &Load) -> Result<(), Error> {
    let moved = load.subscribers_of(KILLED) + load.subscribers_of(DRAINED);
    let progress = Progress::new("scale: replacing gateways".into(), moved as u64);
    deployment.kill_gateway(KILLED)?;
    deployment.drain_gateway(DRAINED)?;
    crowd.until("subscribers have reconnected", moved as u64, |counted| {
        progress.at(counted.reconnected);
        counted.reconnected
    })?;
    crowd.until("subscribers are connected", load.all() as u64, |counted| {
        counted.connected
    })
}
