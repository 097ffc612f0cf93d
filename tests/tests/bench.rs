//! `ltm-bench` measures what it says, and counts every delivery.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use ltm_tests::binary;
use serde_json::Value;

/// The figures of a scenario, by target.
fn measure(arguments: &[&str]) -> Vec<Value> {
    // It starts them itself, from where it lies.
    binary("ltm-api");
    binary("ltm-gateway");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let output = Command::new(binary("ltm-bench"))
        .args(arguments)
        .args(["--on", "live,floor", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap().clone();
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

#[test]
fn every_scenario_runs_and_gives_its_figures() {
    let small = ["--subscribers", "20", "--seconds", "1"];
    for rate in ["100", "0"] {
        let rows = measure(&[&["fan-out", "--rate", rate], &small[..]].concat());
        assert_eq!(rows.len(), 2);
        for row in rows {
            assert!(
                row["figures"]["deliveries/s"].as_f64().unwrap() > 0.0,
                "{row}"
            );
            assert!(
                row["figures"]["CPU µs each"].as_f64().unwrap() > 0.0,
                "{row}"
            );
        }
    }
    let rows = measure(&["idle", "--subscribers", "20", "--ltms", "2"]);
    assert!(rows[0]["figures"]["Redis connections"].as_f64().unwrap() > 0.0);
    let rows = measure(&["latency", "--rate", "100", "--seconds", "1"]);
    assert!(rows[0]["figures"]["p99 ms"].as_f64().unwrap() > 0.0);
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
        assert!(rows[0]["figures"]["appends/s"].as_f64().unwrap() > 0.0);
    }
}
