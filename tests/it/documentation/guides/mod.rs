//! Runs each command of the guides as a reader would, and checks that it prints what the page shows. CONTRIBUTING.md
//! explains how to write such a page.
//!
//! Commands that need Node run only if `LTM_GUIDES_NODE` is set. `make examples` sets it.

mod checks;
mod page;
mod reader;
mod shown;
mod terminal;
mod transcript;

use page::{Action, Page, Step};
use reader::{Given, follow};

/// `clients/js` and `examples` have tests of their own (`make client`, `make examples`).
#[test]
fn every_page_is_well_formed_and_none_with_a_command_is_left_out() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(format!("{root}/{folder}")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages = names.filter(|name| name.ends_with(".md"));
        pages.map(|name| format!("{folder}{name}")).collect()
    };
    let pages = [names(""), names("docs/")].concat();
    assert!(pages.len() > 15, "{pages:?}");
    for path in pages {
        let followed = include_str!("mod.rs").contains(&format!("follow(\"{path}\", Given::"));
        let steps = Page::read(&path, &[]).steps;
        let is_saved = |step: &Step| matches!(step.action, Action::Save { .. });
        let commands = !steps.iter().all(is_saved);
        assert_eq!(commands, followed, "{path}");
    }
}

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
fn the_guide_of_ag_ui_does_what_it_says() {
    follow("docs/guide-agui.md", Given::MakeRun);
}

#[test]
fn the_guide_of_operators_does_what_it_says() {
    follow("docs/guide-operator.md", Given::Nothing);
}

#[test]
fn the_guide_of_recorded_agents_does_what_it_says() {
    follow("docs/guide-agui-record.md", Given::MakeRun);
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

#[test]
fn the_page_on_lists_does_what_it_says() {
    follow("docs/lists.md", Given::MakeRun);
}

#[test]
fn the_page_on_scale_does_what_it_says() {
    follow("docs/scale.md", Given::Nothing);
}

#[test]
fn the_page_on_operations_does_what_it_says() {
    follow("docs/operations.md", Given::Services);
}
