//! `docs/cli.md` is generated from the help of `ltm`. This test compares the page with it; with `UPDATE_DOCS=1` it writes
//! the page.

use std::{env, fmt::Write, fs, path::Path, process::Command};

use ltm_tests::binary;

const HEAD: &str = "\
<!-- Generated from the help of ltm: UPDATE_DOCS=1 cargo test --workspace --test it cli_page. -->

# Command line

Every command of `ltm` with its arguments. `ltm <command> --help` prints the same, `ltm man` writes manual pages, and
`ltm completions` lets a shell complete them. [errors.md](errors.md#exit-codes-of-ltm) says what a script does after each
exit code.

```text
";

/// What `ltm` prints about itself or a command.
fn help(args: &[&str]) -> String {
    let mut ltm = Command::new(binary("ltm"));
    let output = ltm.args(args).arg("-h").env_remove("LTM_URL").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands in the help of `ltm`.
fn commands(help: &str) -> Vec<&str> {
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names.filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

fn page() -> String {
    let all = help(&[]);
    let mut page = String::from(HEAD);
    write!(page, "{}\n```\n", all.trim_end()).unwrap();
    for command in commands(&all) {
        let help = help(&[command]);
        // All commands have these, and the first block shows them.
        let own = help
            .split("\n\n")
            .filter(|it| !it.starts_with("Global options:"));
        let own = own.collect::<Vec<_>>().join("\n\n");
        write!(
            page,
            "\n## ltm {command}\n\n```text\n{}\n```\n",
            own.trim_end()
        )
        .unwrap();
    }
    page
}

#[test]
fn the_page_has_the_help_of_every_command() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    for command in ["append", "export", "top", "backup"] {
        assert!(page.contains(&format!("\n## ltm {command}\n")), "{command}");
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let advice = "UPDATE_DOCS=1 cargo test --workspace --test it cli_page";
    assert!(written == page, "docs/cli.md is old: {advice}");
}
