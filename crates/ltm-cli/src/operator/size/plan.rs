//! The arithmetic: what a load takes of each part, and how many machines bear it.

use serde::Serialize;

use super::{
    load::{Load, Machine},
    measured::{
        API_APPEND, CACHED, CONNECTION, DELIVERY, ENTRY, FOLLOWED, FRAME, LTM, REDIS_APPEND,
        REDIS_MESSAGE, STALLED, WAKE,
    },
};
use crate::text::count_of;

/// One subscriber in so many reads nothing, and its messages wait in the gateway.
const STALLED_ONE_IN: f64 = 100.0;
/// KiB of a GiB.
const KIB: f64 = 1024.0 * 1024.0;
/// Bytes of a GiB.
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a load takes of one resource of a part.
#[derive(Debug, Serialize)]
pub(super) struct Need {
    /// `CPU`, `memory`, `network` or `connections`
    pub(super) resource: &'static str,
    /// How the amount is computed.
    pub(super) arithmetic: String,
    pub(super) amount: f64,
    pub(super) unit: &'static str,
    /// What one machine of the part has of it.
    pub(super) one: f64,
}

/// A part of a deployment.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) needs: Vec<Need>,
    /// The machines that the load needs.
    pub(super) machines: f64,
    /// The machines that take over if others fail.
    pub(super) spare: f64,
    /// What they are for.
    pub(super) spare_for: &'static str,
}

impl Part {
    fn new(name: &'static str, needs: Vec<Need>) -> Self {
        let machines = needs.iter().map(|need| need.amount / need.one);
        Self {
            name,
            machines: machines.fold(1.0, f64::max).ceil(),
            spare: 1.0,
            spare_for: "as a spare",
            needs,
        }
    }

    /// The resource that decides how many machines there are.
    pub(super) fn bound(&self) -> &'static str {
        let fullest = self
            .needs
            .iter()
            .max_by(|a, b| (a.amount / a.one).total_cmp(&(b.amount / b.one)));
        fullest.map_or("", |need| need.resource)
    }
}

/// The threads of gateways that follow an LTM, if a proxy routes by LTM and each gateway has a thread per core.
pub(super) fn threads(load: &Load, machine: &Machine) -> f64 {
    let gateways = (load.each() / machine.connections).ceil();
    // Somebody follows each of these LTMs.
    load.each().min(gateways * machine.cores).max(1.0)
}

/// The parts of a deployment that bears the load.
pub(super) fn parts(load: &Load, machine: &Machine) -> Vec<Part> {
    let mut redis = Part::new("Redis", redis(load, machine));
    redis.spare = redis.machines;
    redis.spare_for = "for replicas";
    vec![
        Part::new("gateway", gateway(load, machine)),
        Part::new("API", api(load, machine)),
        redis,
    ]
}

fn gateway(load: &Load, machine: &Machine) -> Vec<Need> {
    let (deliveries, threads) = (load.deliveries(), threads(load, machine));
    let stalled = load.subscribers / STALLED_ONE_IN;
    vec![
        Need {
            resource: "CPU",
            arithmetic: format!(
                "{} deliveries/s × {DELIVERY} µs + {} appends/s × {} × {WAKE} µs",
                shown(deliveries),
                shown(load.appends),
                threads_of(threads),
            ),
            amount: (deliveries * DELIVERY + load.appends * threads * WAKE) / 1e6,
            unit: "cores",
            one: machine.cores * machine.share(),
        },
        Need {
            resource: "memory",
            arithmetic: format!(
                "{} subscribers × {CONNECTION} KiB + {} that read nothing × {STALLED} KiB + {} × {FOLLOWED} KiB",
                shown(load.subscribers),
                shown(stalled),
                count_of(shown(load.ltms), "LTM"),
            ),
            amount: (load.subscribers * CONNECTION + stalled * STALLED + load.ltms * FOLLOWED)
                / KIB,
            unit: "GiB",
            one: machine.memory * machine.share(),
        },
        network(
            format!("{} deliveries/s", shown(deliveries)),
            deliveries,
            load,
            machine,
        ),
        Need {
            resource: "connections",
            arithmetic: format!("{} subscribers", shown(load.subscribers)),
            amount: load.subscribers,
            unit: "connections",
            one: machine.connections,
        },
    ]
}

fn api(load: &Load, machine: &Machine) -> Vec<Need> {
    vec![
        Need {
            resource: "CPU",
            arithmetic: format!("{} appends/s × {API_APPEND} µs", shown(load.appends)),
            amount: load.appends * API_APPEND / 1e6,
            unit: "cores",
            one: machine.cores * machine.share(),
        },
        Need {
            resource: "memory",
            arithmetic: format!(
                "{} × {} bytes of state × {CACHED}",
                count_of(shown(load.ltms), "LTM"),
                shown(load.state)
            ),
            amount: load.ltms * load.state * CACHED / GIB,
            unit: "GiB",
            one: machine.memory * machine.share(),
        },
    ]
}

/// Redis runs scripts on one thread, so a shard has one core.
fn redis(load: &Load, machine: &Machine) -> Vec<Need> {
    let threads = threads(load, machine);
    let log = load.entries * load.message * ENTRY;
    vec![
        Need {
            resource: "CPU",
            arithmetic: format!(
                "{} appends/s × ({REDIS_APPEND} µs + {} × {REDIS_MESSAGE} µs)",
                shown(load.appends),
                threads_of(threads),
            ),
            amount: load.appends * (REDIS_APPEND + threads * REDIS_MESSAGE) / 1e6,
            unit: "cores",
            one: machine.share(),
        },
        Need {
            resource: "memory",
            arithmetic: format!(
                "{} × ({LTM} KiB + {} entries × {} bytes × {ENTRY} + {} bytes of state)",
                count_of(shown(load.stored()), "LTM"),
                shown(load.entries),
                shown(load.message),
                shown(load.state),
            ),
            amount: load.stored() * (LTM * 1024.0 + log + load.state) / GIB,
            unit: "GiB",
            one: machine.memory * machine.share(),
        },
        network(
            format!(
                "{} appends/s × {}",
                shown(load.appends),
                threads_of(threads)
            ),
            load.appends * threads,
            load,
            machine,
        ),
    ]
}

fn network(messages: String, rate: f64, load: &Load, machine: &Machine) -> Need {
    Need {
        resource: "network",
        arithmetic: format!("{messages} × ({} + {FRAME}) bytes × 8", shown(load.message)),
        amount: rate * (load.message + FRAME) * 8.0 / 1e9,
        unit: "Gbit/s",
        one: machine.network * machine.share(),
    }
}

impl Machine {
    /// The part of a machine that may be in use.
    fn share(&self) -> f64 {
        self.busy / 100.0
    }
}

fn threads_of(threads: f64) -> String {
    count_of(shown(threads), "thread")
}

/// A number as people read it: `1,000,000`, `5.2`, `0.04`.
pub(super) fn shown(number: f64) -> String {
    let text = match number {
        _ if number.fract() == 0.0 || number >= 100.0 => format!("{number:.0}"),
        _ if number >= 1.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.len();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
