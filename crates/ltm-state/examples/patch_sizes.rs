//! Prints the size of the patches between the states of a recorded history:
//!
//! `cargo run --package ltm-state --example patch_sizes -- TRACE.json [STATES.json]`
//!
//! Reads the snapshots of a recorded document (`documents[-1].document.snapshots`, or `snapshots`), applies their
//! patches, and makes a new patch from each state to the next. If a second file is named, writes the states to it
//! as an array, so that other libraries can be compared.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs};

use ltm_state::{diff, patch};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = env::args().skip(1);
    let trace = names.next().ok_or("give the file of a recorded history")?;
    let states = states(&serde_json::from_str(&fs::read_to_string(trace)?)?)?;
    let mut sizes = Vec::new();
    for pair in states.windows(2) {
        let patch = diff::diff(&pair[0], &pair[1]);
        sizes.push(serde_json::to_string(&patch)?.len());
    }
    println!(
        "{} patches, {} bytes, largest: {}",
        sizes.len(),
        sizes.iter().sum::<usize>(),
        sizes.iter().max().unwrap_or(&0)
    );
    if let Some(name) = names.next() {
        fs::write(name, json!(states).to_string())?;
    }
    Ok(())
}

/// The states after each snapshot of a recorded history. The first is the empty state.
fn states(trace: &Value) -> Result<Vec<Map<String, Value>>, Box<dyn Error>> {
    let last = trace["documents"].as_array().and_then(|all| all.last());
    let document = last.map_or(trace, |last| &last["document"]);
    let snapshots = document["snapshots"].as_array();
    let limits = patch::Limits::UNLIMITED;
    let mut tree = patch::Tree::default();
    let mut states = vec![Map::new()];
    for snapshot in snapshots.ok_or("the file contains no snapshots")? {
        let operations = patch::parse(&snapshot["patch"].to_string(), &limits)?;
        let _ = tree.apply(&operations, &limits)?;
        states.extend(tree.value().as_object().cloned());
    }
    Ok(states)
}
