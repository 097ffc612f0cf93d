//! How large the patches between the states of a recorded history are:
//!
//! `cargo run --package ltm-state --example patch_sizes -- TRACE.json [STATES.json]`
//!
//! Reads the snapshots of a recorded document (`documents[-1].document.snapshots`, or `snapshots`),
//! applies their patches, and makes the patch from each state to the next anew. With a second name, the states
//! are written there as an array, so that other libraries can do the same.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs};

use ltm_state::{diff, patch};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut names = env::args().skip(1);
    let trace = names.next().ok_or("name the file of a recorded history")?;
    let states = states(&serde_json::from_str(&fs::read_to_string(trace)?)?)?;
    let mut sizes = Vec::new();
    for pair in states.windows(2) {
        let patch = diff::diff(&pair[0], &pair[1]);
        sizes.push(serde_json::to_string(&patch)?.len());
    }
    println!(
        "{} patches, {} bytes, the largest {}",
        sizes.len(),
        sizes.iter().sum::<usize>(),
        sizes.iter().max().unwrap_or(&0)
    );
    if let Some(name) = names.next() {
        fs::write(name, json!(states).to_string())?;
    }
    Ok(())
}

/// The states that the snapshots of a recorded history lead to, from the empty one on.
fn states(trace: &Value) -> Result<Vec<Map<String, Value>>, Box<dyn Error>> {
    let last = trace["documents"].as_array().and_then(|all| all.last());
    let document = last.map_or(trace, |last| &last["document"]);
    let snapshots = document["snapshots"].as_array();
    let limits = patch::Limits {
        max_bytes: usize::MAX,
        max_depth: patch::MAX_DEPTH,
        max_operations: usize::MAX,
    };
    let mut tree = patch::Tree::default();
    let mut states = vec![Map::new()];
    for snapshot in snapshots.ok_or("the file holds no snapshots")? {
        let operations = patch::parse(&snapshot["patch"].to_string(), &limits)?;
        let _ = tree.apply(&operations, &limits)?;
        states.extend(tree.value().as_object().cloned());
    }
    Ok(states)
}
