//! How the figures grow with the load: charts at 1, 4 and 16 times a load, and from 1 KiB to 10 MiB of state.

use std::path::PathBuf;

use crate::{
    error::Error,
    report::{
        CPU, MEMORY, Row,
        plot::{Line, Look, Plot},
    },
    scenarios::Scenario,
    session::Session,
    targets::Kind,
};

/// The arguments of `ltm-bench growth`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Drawings {
    /// The folder for the charts.
    #[arg(long, value_name = "DIR", default_value = "docs/performance")]
    pub(crate) svg: PathBuf,
    /// Draw only these charts.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    pub(crate) only: Vec<String>,
    /// Run with a small load, to check that everything runs; the charts mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// The target and the figure of a line, and the name of the line.
type Drawn = (Kind, &'static str, &'static str);

/// One chart.
struct Measure {
    /// The name of its file.
    file: &'static str,
    title: &'static str,
    /// The load, with its unit.
    x: &'static str,
    /// The figure, with its unit.
    y: &'static str,
    /// The scenario, without the option that grows.
    command: &'static str,
    /// The same with a small load.
    quick: &'static str,
    /// The option that grows, and its values.
    grows: (&'static str, [u64; 3]),
    /// If the appends grow, too: how many of these get one append per second.
    each: Option<u64>,
    lines: &'static [Drawn],
}

const LIVE: Kind = Kind::Live;
/// One line per target.
const CPU_LINES: &[Drawn] = &[
    (LIVE, CPU, "ltm-live"),
    (Kind::Floor, CPU, "floor"),
    (Kind::Nchan, CPU, "Nchan"),
];
const MEMORY_LINES: &[Drawn] = &[(LIVE, MEMORY, "ltm-live"), (Kind::Nchan, MEMORY, "Nchan")];

const MEASURES: [Measure; 11] = [
    Measure {
        file: "fan-out",
        title: "One LTM, many subscribers: CPU time per delivery",
        x: "subscribers of one LTM, 10 appends per second",
        y: "µs per delivery",
        command: "fan-out --rate 10 --seconds 5",
        quick: "fan-out --rate 20 --seconds 1",
        grows: ("--subscribers", [250, 1000, 4000]),
        each: None,
        lines: CPU_LINES,
    },
    Measure {
        file: "many-small",
        title: "Many LTMs with one subscriber each: CPU time per delivery",
        x: "LTMs, one append to each every 4 seconds",
        y: "µs per delivery",
        command: "fan-out --subscribers 1 --seconds 5",
        quick: "fan-out --subscribers 1 --seconds 1",
        grows: ("--ltms", [500, 2000, 8000]),
        each: Some(4),
        lines: CPU_LINES,
    },
    Measure {
        file: "catch-up",
        title: "Subscribers that resume 1,000 entries back: CPU time per delivery",
        x: "subscribers that reconnect at once",
        y: "µs per delivery",
        command: "catch-up",
        quick: "catch-up --entries 20",
        grows: ("--subscribers", [300, 1200, 4800]),
        each: None,
        lines: CPU_LINES,
    },
    Measure {
        file: "idle",
        title: "Memory per idle connection",
        x: "connections",
        y: "KiB per connection",
        command: "idle",
        quick: "idle --ltms 2",
        grows: ("--subscribers", [1200, 4800, 19_200]),
        each: None,
        lines: MEMORY_LINES,
    },
    Measure {
        file: "burst",
        title: "Memory per connection, a minute after a burst",
        x: "connections, 500 messages to each",
        y: "KiB per connection",
        command: "burst",
        quick: "burst --settle 0 --ltms 2 --messages 10",
        grows: ("--subscribers", [250, 1000, 4000]),
        each: None,
        lines: &[
            (LIVE, MEMORY, "after the burst"),
            (LIVE, "KiB each, idle", "before"),
        ],
    },
    Measure {
        file: "stalled",
        title: "Memory per connection whose peer reads nothing",
        x: "connections, 16 MiB waiting for each",
        y: "KiB per connection",
        command: "stalled",
        quick: "stalled --messages 20",
        grows: ("--peers", [25, 100, 400]),
        each: None,
        lines: MEMORY_LINES,
    },
    Measure {
        file: "latency",
        title: "From an append to its delivery: 99th percentile",
        x: "appends per second",
        y: "ms",
        command: "latency --seconds 5",
        quick: "latency --seconds 1",
        grows: ("--rate", [250, 1000, 4000]),
        each: None,
        lines: &[
            (LIVE, "p99 ms", "ltm-live"),
            (Kind::Floor, "p99 ms", "floor"),
            (Kind::Nchan, "p99 ms", "Nchan"),
        ],
    },
    Measure {
        file: "append",
        title: "Appends by 16 producers",
        x: "LTMs per producer",
        y: "appends per second",
        command: "append --seconds 3",
        quick: "append --producers 2 --seconds 1",
        grows: ("--ltms", [1, 4, 16]),
        each: None,
        lines: &[
            (LIVE, "appends/s", "ltm-live"),
            (Kind::Floor, "appends/s", "floor"),
        ],
    },
    Measure {
        file: "state",
        title: "A small patch to a large state: CPU time per append",
        x: "bytes of state",
        y: "µs per append",
        command: "append --producers 1 --ltms 1 --seconds 3",
        quick: "append --producers 1 --ltms 1 --seconds 1",
        grows: ("--state", [1024, 102_400, 10_485_760]),
        each: None,
        lines: &[(LIVE, CPU, "ltm-live")],
    },
    Measure {
        file: "late",
        title: "Appends late in a history: CPU time per append",
        x: "entries in the history",
        y: "µs per append",
        command: "late",
        quick: "late --window 20 --rounds 1",
        grows: ("--entries", [6250, 25_000, 100_000]),
        each: None,
        lines: &[
            (LIVE, "late CPU µs each", "after these"),
            (LIVE, "early CPU µs each", "from the first"),
        ],
    },
    Measure {
        file: "document",
        title: "GET of a document: CPU time per snapshot",
        x: "snapshots in the document",
        y: "µs per snapshot",
        command: "document",
        quick: "document --rounds 1",
        grows: ("--snapshots", [625, 2500, 10_000]),
        each: None,
        lines: &[
            (LIVE, "CPU µs a snapshot", "ltm-live"),
            (LIVE, "redis-cli µs a snapshot", "redis-cli"),
        ],
    },
];

/// Measures and draws all charts.
pub(crate) fn run(session: &mut Session, drawings: &Drawings) -> Result<(), Error> {
    std::fs::create_dir_all(&drawings.svg)?;
    let wanted = |measure: &&Measure| {
        drawings.only.is_empty() || drawings.only.iter().any(|name| name == measure.file)
    };
    for measure in MEASURES.iter().filter(wanted) {
        let loads = measure.loads(drawings.quick);
        let scenarios = loads
            .iter()
            .map(|load| measure.scenario(*load, drawings.quick));
        let scenarios = scenarios.collect::<Result<Vec<_>, Error>>()?;
        let rows = session.measure(&scenarios)?;
        let path = drawings.svg.join(measure.file).with_extension("svg");
        std::fs::write(path, measure.plot(&loads, &rows).svg())?;
    }
    Ok(())
}

fn names() -> [&'static str; MEASURES.len()] {
    MEASURES.each_ref().map(|measure| measure.file)
}

impl Measure {
    fn loads(&self, quick: bool) -> [u64; 3] {
        let (_, full) = self.grows;
        if quick { [2, 8, 32] } else { full }
    }

    fn scenario(&self, load: u64, quick: bool) -> Result<Scenario, Error> {
        let command = if quick { self.quick } else { self.command };
        let rate = self
            .each
            .map(|each| format!(" --rate {}", load.div_ceil(each)));
        let rate = rate.unwrap_or_default();
        Scenario::read(&format!("{command} {} {load}{rate}", self.grows.0))
    }

    fn plot(&self, loads: &[u64], measured: &[Vec<Row>]) -> Plot {
        let line = |(place, &(kind, figure, name)): (usize, &Drawn)| {
            let points = loads.iter().zip(measured).filter_map(|(load, rows)| {
                let row = rows.iter().find(|row| row.target == kind.name())?;
                Some((*load as f64, *row.figures.get(figure)?))
            });
            Line {
                name,
                look: match kind {
                    Kind::Live if place == 0 => Look::Own,
                    Kind::Live | Kind::Floor => Look::Floor,
                    Kind::Nchan | Kind::Centrifugo => Look::Peer,
                },
                points: points.collect(),
            }
        };
        let lines = self.lines.iter().enumerate().map(line);
        Plot {
            title: self.title,
            x: self.x,
            y: self.y,
            lines: lines.filter(|line| !line.points.is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_can_be_asked_for() {
        for measure in &MEASURES {
            for quick in [true, false] {
                for load in measure.loads(quick) {
                    let scenario = measure.scenario(load, quick);
                    let drawn = |scenario: &Scenario| {
                        measure.lines.iter().any(|line| scenario.is_for(line.0))
                    };
                    assert!(scenario.is_ok_and(|s| drawn(&s)), "{}", measure.file);
                }
            }
        }
    }
}
