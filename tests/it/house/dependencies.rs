//! What a log means can be read, tested and fuzzed without Redis, HTTP or a runtime.

use std::process::Command;

/// The names of all crates that a package is built with, at any depth.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", package])
        .args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{lib}",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(Into::into).collect()
}

#[test]
fn the_meaning_of_a_log_depends_on_no_runtime_no_redis_and_no_http() {
    let found = dependencies("ltm-state");
    assert!(found.iter().any(|name| name == "serde_json"), "{found:?}");
    for banned in ["tokio", "redis", "actix", "hyper", "reqwest"] {
        let depends = found.iter().any(|name| name.starts_with(banned));
        assert!(!depends, "ltm-state depends on {banned}: {found:?}");
    }
}
