//! `ltm-bench` measures what it reports, and counts every delivery.

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use ltm_tests::{RedisServer, Service, binary};
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
fn every_scenario_gives_its_figures() {
    let rows = measure(&["all", "--quick"]);
    let expected: [(&str, &str, &[&str]); 16] = [
        (
            "fan-out",
            "ltm-live",
            &["deliveries/s", "CPU µs each", "× floor"],
        ),
        ("fan-out", "floor", &["deliveries/s", "CPU µs each"]),
        (
            "catch-up",
            "ltm-live",
            &["CPU µs each", "scripts a subscriber", "reads of each log"],
        ),
        ("idle", "ltm-live", &["Redis connections"]),
        // So few subscribers may take less than a page of memory.
        ("burst", "ltm-live", &[]),
        ("stalled", "ltm-live", &[]),
        // Its states are much larger than what the allocator gives back to the system meanwhile.
        (
            "cached-state",
            "ltm-live",
            &["bytes per byte: small objects", "long texts"],
        ),
        (
            "reset",
            "ltm-live",
            &["bytes each", "compressed", "× bytes"],
        ),
        ("latency", "ltm-live", &["p99 ms", "× floor"]),
        ("latency", "floor", &["p99 ms"]),
        (
            "append",
            "ltm-live",
            &["appends/s", "CPU µs each", "× floor"],
        ),
        ("batch", "ltm-live", &["single / batched"]),
        ("late", "ltm-live", &["late / early"]),
        ("document", "ltm-live", &["GET / redis-cli"]),
        ("opening", "ltm-live", &["CPU µs each", "append p99 ms"]),
        (
            "scale",
            "ltm-live",
            &["CPU µs a delivery", "Redis µs an append", "deliveries"],
        ),
    ];
    for (scenario, target, figures) in expected {
        let of = |row: &&Value| row["scenario"] == scenario && row["target"] == target;
        let row = rows.iter().find(of).unwrap_or_else(|| panic!("{scenario}"));
        for name in figures {
            figure(row, name);
        }
    }
}

#[test]
fn subscribers_of_gateways_that_end_reconnect_and_miss_nothing() {
    let load =
        "scale --subscribers 24,30 --per-ltm 3 --gateways 3 --apis 1 --seconds 1 --rate-per-ltm 5";
    let load: Vec<_> = load.split(' ').collect();
    let rows = measure(&load);
    assert_eq!(rows.len(), 2);
    for (row, subscribers) in rows.iter().zip([24.0, 30.0]) {
        assert_eq!(figure(row, "subscribers"), subscribers);
        // Two of three gateways.
        assert_eq!(figure(row, "reconnects"), subscribers / 3.0 * 2.0);
        // The scenario fails if one of these is lost, repeated or out of order.
        assert_eq!(figure(row, "deliveries") % 3.0, 0.0);
    }
}

#[test]
fn appends_of_whole_states_are_measured() {
    let rows = measure(&[
        "append",
        "--producers",
        "2",
        "--seconds",
        "1",
        "--body",
        "state",
    ]);
    figure(&rows[0], "appends/s");
}

#[test]
fn growth_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let rows = measure(&["growth", "--quick", "--only", "late", "--svg", to]);
    assert_eq!(rows.len(), 3);
    let drawn = std::fs::read_to_string(folder.path().join("late.svg")).unwrap();
    for word in ["<svg", "entries in the history", ">32<", "after these"] {
        assert!(drawn.contains(word), "{word}: {drawn}");
    }
}

#[test]
fn services_that_run_elsewhere_are_measured_as_far_as_they_can_be_seen() {
    let redis = RedisServer::start(&[]);
    let (api, gateway) = (
        Service::api(&redis.url(), &[]),
        Service::gateway(&redis.url(), &[]),
    );
    let elsewhere = ["--api", api.address(), "--gateway", gateway.address()];
    for load in [
        &["fan-out", "--subscribers", "5", "--seconds", "1"][..],
        &["catch-up", "--subscribers", "5", "--entries", "20"],
        &["document", "--snapshots", "20", "--rounds", "1"],
        &[
            "burst",
            "--subscribers",
            "20",
            "--messages",
            "5",
            "--settle",
            "0",
        ],
    ] {
        let (output, rows) = bench(&[load, &elsewhere, &["--on", "live"]].concat(), None);
        assert!(output.status.success(), "{output:?}");
        let figures = rows[0]["figures"].as_object().unwrap();
        let unseen = ["CPU", "KiB", "ltm-"];
        let seen = |name: &String| unseen.iter().any(|word| name.contains(word));
        assert!(!figures.keys().any(seen), "{figures:?}");
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
    assert!(
        said.contains("error: fan-out, Nchan: cannot start nginx"),
        "{said}"
    );
    for (load, reason) in [
        (&["late", "--on", "floor"][..], "does not apply"),
        (
            &["scale", "--api", "127.0.0.1:1", "--gateway", "127.0.0.1:1"],
            "starts its own services",
        ),
    ] {
        let (output, _) = bench(load, None);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{said}");
    }
}
