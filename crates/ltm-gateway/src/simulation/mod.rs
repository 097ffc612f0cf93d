//! A simulation of the delivery: the real topics, subscriptions and backlog, over logs in memory, with a live
//! connection that loses messages and clients that read slowly.
//!
//! A story is a list of actions. The time is virtual, and everything random comes from a seed: so a story happens the
//! same way each time, and one that fails shrinks to a short one. Each client compares what it receives with what is
//! true of the logs. After the story nothing happens for `gateway.sweep_interval` and the longest retries, and then
//! every client must have everything.

mod client;
mod log_lines;
mod story;
mod thread;
mod world;

use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use story::{action, play};

/// The longest story.
const ACTIONS: usize = 40;

/// A number that the environment sets.
fn set(name: &str, default: u64) -> u64 {
    let text = std::env::var(name);
    text.map_or(default, |text| text.parse().unwrap())
}

/// `SIMULATION_STEPS` and `SEED` in the environment choose another number of actions and other stories.
#[test]
fn every_client_gets_every_entry_once_or_a_reset_whatever_happens() {
    let steps = set("SIMULATION_STEPS", 200_000);
    let seed = set("SEED", 1);
    let config = Config {
        cases: u32::try_from(steps * 2 / ACTIONS as u64).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    // Without optimization, the default algorithm would take more than half of the time.
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(2);
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let played = Cell::new(0);
    let outcome = runner.run(
        &(vec(action(), 1..=ACTIONS), any::<u64>()),
        |(story, seed)| {
            played.set(played.get() + story.len());
            play(&story, seed).map_err(TestCaseError::fail)
        },
    );
    if let Err(failure) = outcome {
        panic!("SEED={seed}: {failure}");
    }
    println!("{} steps", played.get());
}
