//! `ltm size`: the machines that a load needs, with the arithmetic.

mod load;
mod measured;
mod plan;

use serde_json::json;

use crate::{error::Error, terminal::Output, text::count_of};
use load::{Load, Machine};
use plan::{Part, shown};

/// The arguments of `ltm size`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    machine: Machine,
}

/// The limits that are printed: what is full later is far away.
const FIRST: usize = 4;
/// The seconds of a month of 30 days.
const MONTH: f64 = 30.0 * 24.0 * 3600.0;

/// Prints what the load takes of each part, the machines, and what is full first.
pub(crate) fn run(args: &Args, output: Output) -> Result<(), Error> {
    let (load, machine) = (&args.load, &args.machine);
    let parts = plan::parts(load, machine);
    if output.json() {
        let first = limits(&parts, load).into_iter();
        let first = first.map(|(part, resource, subscribers)| {
            json!({"part": part, "resource": resource, "subscribers": subscribers.floor()})
        });
        let first: Vec<_> = first.collect();
        let plan = json!({"load": load, "machine": machine, "parts": parts,
            "one_machine_of_each_lasts_to": first});
        return output.json_line(&plan.to_string());
    }
    output.line(&format!(
        "load: {} subscribers of {}, {} each; {} appends/s, {} deliveries/s",
        shown(load.subscribers),
        count_of(shown(load.ltms), "LTM"),
        shown(load.each()),
        shown(load.appends),
        shown(load.deliveries()),
    ))?;
    for part in &parts {
        output.line("")?;
        print(part, output)?;
    }
    let traffic = load.deliveries() * (load.message + measured::FRAME) * MONTH / 1e12;
    output.line("")?;
    output.line(&format!("to subscribers: {} TB a month", shown(traffic)))?;
    output.line("")?;
    output.line("one machine of each, with a load of this shape, lasts to:")?;
    for (part, resource, subscribers) in limits(&parts, load).into_iter().take(FIRST) {
        output.line(&format!(
            "  {} subscribers: {part}, {resource}",
            shown(subscribers.floor())
        ))?;
    }
    Ok(())
}

fn print(part: &Part, output: Output) -> Result<(), Error> {
    let name = part.name;
    output.line(&format!(
        "{name}: {} + {} {}, because of {}",
        shown(part.machines),
        shown(part.spare),
        part.spare_for,
        part.bound(),
    ))?;
    for need in &part.needs {
        output.line(&format!(
            "  {}: {} = {} {}, one has {}",
            need.resource,
            need.arithmetic,
            shown(need.amount),
            need.unit,
            shown(need.one),
        ))?;
    }
    Ok(())
}

/// How many subscribers one machine of a part bears by each resource, if everything grows in proportion; the first
/// limit comes first.
fn limits(parts: &[Part], load: &Load) -> Vec<(&'static str, &'static str, f64)> {
    let needs = parts
        .iter()
        .flat_map(|part| part.needs.iter().map(move |need| (part.name, need)));
    let mut limits: Vec<_> = needs
        .map(|(part, need)| {
            let subscribers = load.subscribers * need.one / need.amount;
            (part, need.resource, subscribers)
        })
        .collect();
    limits.sort_by(|a, b| a.2.total_cmp(&b.2));
    limits
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        args: Args,
    }

    fn asked(words: &str) -> Result<Args, String> {
        let words = std::iter::once("size").chain(words.split(' '));
        let asked = Words::try_parse_from(words);
        asked.map(|asked| asked.args).map_err(|e| e.to_string())
    }

    #[test]
    fn the_arithmetic_agrees_with_a_deployment_that_was_measured() {
        // Six gateways of two threads with one API and one Redis took 52 µs per delivery, all together.
        let words = "--subscribers 96000 --ltms 19200 --appends 1800 --cores 2 --connections 16000";
        let args = asked(words).unwrap();
        let parts = plan::parts(&args.load, &args.machine);
        let cores = parts.iter().map(|part| {
            let cpu = part.needs.iter().find(|need| need.resource == "CPU");
            cpu.unwrap().amount
        });
        let each = cores.sum::<f64>() * 1e6 / args.load.deliveries();
        assert!((each - 52.0).abs() < 0.25 * 52.0, "{each} µs per delivery");
        assert_eq!(parts[0].machines, 6.0);
        assert_eq!(parts[0].bound(), "connections");
    }

    #[test]
    fn an_ltm_that_fills_gateways_is_sent_to_each_of_their_threads() {
        let words = "--subscribers 1e6 --ltms 1 --appends 10 --connections 1e5 --cores 8";
        let args = asked(words).unwrap();
        assert_eq!(plan::threads(&args.load, &args.machine), 80.0);
        let few = asked("--subscribers 3 --ltms 1 --appends 10").unwrap();
        assert_eq!(plan::threads(&few.load, &few.machine), 3.0);
    }

    #[test]
    fn twice_the_load_needs_twice_of_everything() {
        let needs = |words: &str| -> Vec<f64> {
            let args = asked(words).unwrap();
            let parts = plan::parts(&args.load, &args.machine);
            let needs = parts.iter().flat_map(|part| &part.needs);
            needs.map(|need| need.amount).collect()
        };
        let once = needs("--subscribers 1e4 --ltms 2e3 --appends 200");
        let twice = needs("--subscribers 2e4 --ltms 4e3 --appends 400");
        for (once, twice) in once.iter().zip(twice) {
            assert!((twice / once - 2.0).abs() < 1e-9, "{once} {twice}");
        }
    }

    #[test]
    fn a_load_that_is_none_is_refused_with_what_would_be_right() {
        for (words, said) in [
            ("--subscribers 0 --ltms 1 --appends 1", "above 0"),
            ("--subscribers many --ltms 1 --appends 1", "not a number"),
            ("--subscribers 1 --ltms NaN --appends 1", "above 0"),
            (
                "--subscribers 1 --ltms 1 --appends 1 --busy 200",
                "at most 100",
            ),
        ] {
            let error = asked(words).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let all = [1e6, 20_000.0, 999.0, 5.25, 0.04, 1234.5].map(shown);
        assert_eq!(all, ["1,000,000", "20,000", "999", "5.2", "0.04", "1,234"]);
    }
}
