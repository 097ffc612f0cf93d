//! The files of the page, in the binary.

use include_dir::{Dir, File, include_dir};

/// The folder of the files.
static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");

/// The file that is served at `/`. It loads the others.
pub(crate) const PAGE: &str = "index.html";

/// The name of each file, its media type and its content.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static [u8])> {
    FOLDER.files().filter_map(|file| {
        let name = file.path().to_str()?;
        Some((name, media_type(file)?, file.contents()))
    })
}

/// The media type of a file; `None` for one that the page cannot load.
fn media_type(file: &File<'_>) -> Option<&'static str> {
    match file.path().extension()?.to_str()? {
        "css" => Some("text/css; charset=utf-8"),
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        assert_eq!(all().count(), FOLDER.entries().len());
        assert!(all().any(|(name, ..)| name == PAGE));
    }

    #[test]
    fn every_file_that_a_file_names_is_there() {
        let names: BTreeSet<&str> = all().map(|(name, ..)| name).collect();
        for (asset, _, content) in all() {
            let quoted = str::from_utf8(content).unwrap().split(['\'', '"']);
            for name in quoted.filter_map(local) {
                assert!(names.contains(name), "{asset} names {name}");
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
