//! `ltm-bench` measures what it says, and counts every delivery.

#![allow(clippy::unwrap_used)]

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use ltm_tests::binary;
use serde_json::Value;

/// Runs it, and gives what it said and the rows that it wrote.
fn bench(arguments: &[&str], search: Option<&Path>) -> (Output, Vec<Value>) {
    // It starts them itself, from where it lies.
    binary("ltm-api");
    binary("ltm-gateway");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let mut command = Command::new(binary("ltm-bench"));
    command.args(arguments).arg("--json").arg(&file);
    if let Some(search) = search {
        command.env("PATH", search);
    }
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    (output, report["rows"].as_array().unwrap().clone())
}

/// The figures of a scenario, by target.
fn measure(arguments: &[&str]) -> Vec<Value> {
    let (output, rows) = bench(&[arguments, &["--on", "live,floor"]].concat(), None);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    for row in &rows {
        assert!(
            printed.contains(row["target"].as_str().unwrap()),
            "{printed}"
        );
        for (name, figure) in row["figures"].as_object().unwrap() {
            assert!(
                figure.as_f64().unwrap() >= 0.0 && printed.contains(name),
                "{row}"
            );
        }
    }
    rows
}

/// A figure of a row, which must be more than nothing.
fn figure(row: &Value, name: &str) -> f64 {
    let figure = row["figures"][name].as_f64().unwrap_or_default();
    assert!(figure > 0.0, "{name}: {row}");
    figure
}

#[test]
fn deliveries_are_counted_and_their_cost_is_given() {
    for rate in ["100", "0"] {
        let rows = measure(&[
            "fan-out",
            "--rate",
            rate,
            "--subscribers",
            "20",
            "--seconds",
            "1",
        ]);
        assert_eq!(rows.len(), 2);
        for row in &rows {
            figure(row, "deliveries/s");
            figure(row, "CPU µs each");
        }
        figure(&rows[0], "× floor");
    }
}

#[test]
fn whoever_catches_up_gets_everything_and_reads_are_counted() {
    let rows = measure(&[
        "catch-up",
        "--subscribers",
        "20",
        "--ltms",
        "2",
        "--entries",
        "50",
    ]);
    for name in [
        "deliveries/s",
        "CPU µs each",
        "peak MiB",
        "scripts a subscriber",
        "reads of each log",
    ] {
        figure(&rows[0], name);
    }
}

#[test]
fn idle_connections_latency_and_appends_are_measured() {
    let rows = measure(&["idle", "--subscribers", "20", "--ltms", "2"]);
    figure(&rows[0], "Redis connections");
    let rows = measure(&["latency", "--rate", "100", "--seconds", "1"]);
    figure(&rows[1], "p99 ms");
    figure(&rows[0], "× floor");
    for body in ["patch", "state"] {
        let rows = measure(&[
            "append",
            "--producers",
            "2",
            "--seconds",
            "1",
            "--body",
            body,
        ]);
        figure(&rows[1], "appends/s");
        figure(&rows[0], "× floor");
    }
}

#[test]
fn the_memory_of_connections_is_measured_after_a_burst_and_where_nobody_reads() {
    let load = ["burst", "--subscribers", "40", "--messages", "50"];
    let rows = measure(&[&load[..], &["--settle", "1"]].concat());
    for name in ["KiB each, idle", "settled / idle"] {
        figure(&rows[0], name);
    }
    let rows = measure(&["stalled", "--peers", "10", "--messages", "50"]);
    figure(&rows[0], "KiB each");
}

#[test]
fn long_histories_are_measured_beside_short_ones_and_beside_redis_itself() {
    let rows = measure(&[
        "late",
        "--entries",
        "200",
        "--window",
        "50",
        "--rounds",
        "1",
    ]);
    figure(&rows[0], "late / early");
    let rows = measure(&["document", "--snapshots", "100", "--rounds", "1"]);
    for name in ["GET / redis-cli", "MiB"] {
        figure(&rows[0], name);
    }
}

#[test]
fn a_target_that_fails_leaves_the_figures_of_the_others() {
    // Redis is found, and nginx is not.
    let folder = tempfile::tempdir().unwrap();
    let search = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&search).map(|place| place.join("redis-server"));
    let redis = places.find(|place| place.exists()).unwrap();
    symlink(redis, folder.path().join("redis-server")).unwrap();
    let load = ["fan-out", "--subscribers", "5", "--seconds", "1"];
    let arguments = [&load[..], &["--on", "nchan,live"]].concat();
    let (output, rows) = bench(&arguments, Some(folder.path()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["target"], "ltm-live");
    assert!(String::from_utf8_lossy(&output.stdout).contains("ltm-live"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error: fan-out, Nchan: nginx"), "{said}");
}
