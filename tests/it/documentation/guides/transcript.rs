//! What a page tells of and no test can run: a transcript, whose commands stand after `$ `.

use std::path::Path;

/// The programs of which a transcript may tell: they build or install this project, or need machines that a test has not.
const NOT_RUN: &[&str] = &[
    "cargo",
    "deploy/rolling.sh",
    "docker",
    "helm",
    "kubectl",
    "make",
    "npx",
    // `make python` runs the programs of the guide for Python.
    "pip",
    "promtool",
    "python",
    "sudo",
    "systemctl",
];

/// What a command of a transcript may speak to, which a test has not either.
const NOT_HERE: &[&str] = &["//flou-redis:", "//flou:"];

/// Says where a transcript has what could be run, or names what is not there.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let commands: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    if commands.is_empty() {
        return Err("a transcript has its commands after `$ `".into());
    }
    for command in commands {
        let words: Vec<&str> = command
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .skip_while(|word| word.contains('='))
            .collect();
        let program = words.first().copied().unwrap_or_default();
        let elsewhere = NOT_HERE.iter().any(|host| command.contains(host));
        if !elsewhere && !NOT_RUN.contains(&program) {
            return Err(format!("`{program}` can be run: put it into a block of sh"));
        }
        if let Some(missing) = words.windows(2).find_map(missing) {
            return Err(format!("there is no {missing}"));
        }
    }
    Ok(())
}

/// What a word and the one before it name in this repository, where that is not there.
fn missing(words: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let word = words[1];
    let is_there = match words[0] {
        "make" => {
            let makefile = std::fs::read_to_string(root.join("Makefile"));
            makefile
                .expect("it is there")
                .contains(&format!("\n{word}:"))
        }
        "--example" => root.join(format!("tests/examples/{word}.rs")).exists(),
        _ => !word.starts_with("deploy/") || root.join(word).exists(),
    };
    (!is_there).then(|| word.into())
}
