//! Tells the program the commit that it is built from: `LTM_COMMIT` if it is set, else the commit of the repository.

use std::{env, path::Path, process::Command};

/// The argument for the number of digits of a commit.
const DIGITS: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed=LTM_COMMIT");
    let given = env::var("LTM_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = given.or_else(of_repository);
    let commit = commit.unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=LTM_COMMIT={commit}");
}

fn of_repository() -> Option<String> {
    // These change with every commit and checkout.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", DIGITS, "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
