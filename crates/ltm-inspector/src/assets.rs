//! The files of the page, in the binary.

/// A file that is served.
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) content: &'static str,
}

macro_rules! asset {
    ($name:literal, $type:literal) => {
        Asset {
            name: $name,
            media_type: $type,
            content: include_str!(concat!("../assets/", $name)),
        }
    };
}

macro_rules! script {
    ($name:literal) => {
        asset!($name, "text/javascript; charset=utf-8")
    };
}

macro_rules! style {
    ($name:literal) => {
        asset!($name, "text/css; charset=utf-8")
    };
}

/// What is served at `/`.
pub(crate) const PAGE: Asset = asset!("index.html", "text/html; charset=utf-8");

/// What it loads.
pub(crate) const ASSETS: &[Asset] = &[
    asset!("favicon.svg", "image/svg+xml"),
    script!("about-pane.js"),
    script!("api.js"),
    script!("block.js"),
    script!("changes-pane.js"),
    script!("changes.js"),
    script!("clipboard.js"),
    script!("curl.js"),
    script!("dialogs.js"),
    script!("digits.js"),
    script!("dom.js"),
    script!("drawing.js"),
    script!("errors-pane.js"),
    script!("feed.js"),
    script!("find.js"),
    script!("graph.js"),
    script!("history.js"),
    script!("icons.js"),
    script!("json.js"),
    script!("keys.js"),
    script!("layout.js"),
    script!("list-rows.js"),
    script!("list-view.js"),
    script!("ltm-head.js"),
    script!("ltm-live.min.js"),
    script!("ltm-view.js"),
    script!("machine.js"),
    script!("main.js"),
    script!("menu.js"),
    script!("notice.js"),
    script!("patch.js"),
    script!("pointer.js"),
    script!("rollbacks-pane.js"),
    script!("router.js"),
    script!("session.js"),
    script!("shell.js"),
    script!("splitter.js"),
    script!("state-pane.js"),
    script!("status.js"),
    script!("step-pane.js"),
    script!("steps.js"),
    script!("tabs.js"),
    script!("theme.js"),
    script!("time.js"),
    script!("timeline.js"),
    script!("toast.js"),
    script!("track.js"),
    script!("transport.js"),
    script!("travel.js"),
    script!("tree-rows.js"),
    script!("viewport.js"),
    script!("virtual.js"),
    script!("wire.js"),
    style!("graph.css"),
    style!("list.css"),
    style!("ltm.css"),
    style!("panes.css"),
    style!("shell.css"),
    style!("theme.css"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn names() -> BTreeSet<String> {
        ASSETS.iter().map(|asset| asset.name.to_owned()).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(files.remove(PAGE.name));
        assert_eq!(names(), files);
    }

    #[test]
    fn every_file_that_a_file_names_is_there() {
        for asset in ASSETS.iter().chain([&PAGE]) {
            let quoted = asset.content.split(['\'', '"']);
            for name in quoted.filter_map(local) {
                assert!(names().contains(name), "{} names {name}", asset.name);
            }
        }
    }

    /// The file that a quoted text names: `./feed.js` in a module, `inspector/feed.js` in the page.
    fn local(text: &str) -> Option<&str> {
        let name = text
            .strip_prefix("./")
            .or_else(|| text.strip_prefix("inspector/"))?;
        let is_file = [".js", ".css", ".svg"].iter().any(|it| name.ends_with(it));
        (is_file && !name.contains(char::is_whitespace)).then_some(name)
    }
}
