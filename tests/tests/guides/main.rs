//! Each command of the guides is run as its reader would, and prints what the page shows. CONTRIBUTING.md says how a page
//! is written so.
//!
//! What takes Node is run where `LTM_GUIDES_NODE` is set: `make examples` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod checks;
mod page;
mod reader;
mod shown;
mod terminal;

use reader::{Given, follow};

#[test]
fn the_readme_does_what_it_says() {
    follow("README.md", Given::MakeRun);
}

#[test]
fn the_guide_of_app_developers_does_what_it_says() {
    follow("docs/guide-app.md", Given::MakeRun);
}

#[test]
fn the_guide_of_engine_developers_does_what_it_says() {
    follow("docs/guide-engine.md", Given::MakeRun);
}

#[test]
fn the_guide_of_operators_does_what_it_says() {
    follow("docs/guide-operator.md", Given::Nothing);
}

#[test]
fn the_page_on_redis_does_what_it_says() {
    follow("docs/redis.md", Given::Services);
}

#[test]
fn the_page_on_backups_does_what_it_says() {
    follow("docs/backup.md", Given::Services);
}

#[test]
fn the_page_on_security_does_what_it_says() {
    follow("docs/security.md", Given::Nothing);
}

#[test]
fn the_page_on_history_does_what_it_says() {
    follow("docs/history.md", Given::MakeRun);
}
