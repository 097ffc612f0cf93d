//! An example in the documentation of a library is run, or it is wrong some day.

use std::path::Path;

use super::sizes::sources;

#[test]
fn a_library_whose_examples_are_not_run_has_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut with_examples = 0;
    for file in sources(&root) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut fences = text.lines().filter_map(fence).step_by(2);
        if !fences.any(|language| ["", "rust", "no_run", "should_panic"].contains(&language)) {
            continue;
        }
        with_examples += 1;
        let package = file
            .ancestors()
            .find(|path| path.join("Cargo.toml").exists());
        let manifest = std::fs::read_to_string(package.unwrap().join("Cargo.toml")).unwrap();
        let shown = file.display();
        assert!(
            !manifest.contains("doctest = false"),
            "{shown} has an example that no test runs"
        );
    }
    assert!(with_examples > 0, "no example is found");
}

/// The language of the code fence that a documentation line is.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or(line.strip_prefix("//!"))?;
    text.trim_start().strip_prefix("```")
}
