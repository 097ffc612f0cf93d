//! The files of the page, in the binary.

use include_dir::{Dir, File, include_dir};

/// The folder of the files.
static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");

/// The file that is served at `/`. It loads the others.
pub(crate) const PAGE: &str = "index.html";

/// A file that the page loads.
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) content: &'static [u8],
    /// The content compressed: the file `<name>.br`.
    pub(crate) brotli: Option<&'static [u8]>,
    /// The same by gzip: `<name>.gz`.
    pub(crate) gzip: Option<&'static [u8]>,
}

/// All files that the page loads.
pub(crate) fn all() -> impl Iterator<Item = Asset> {
    FOLDER.files().filter_map(|file| {
        let name = file.path().to_str()?;
        let compressed = |suffix| {
            FOLDER
                .get_file(format!("{name}.{suffix}"))
                .map(File::contents)
        };
        Some(Asset {
            name,
            media_type: media_type(file)?,
            content: file.contents(),
            brotli: compressed("br"),
            gzip: compressed("gz"),
        })
    })
}

/// The media type of a file; `None` for one that the page cannot load.
fn media_type(file: &File<'_>) -> Option<&'static str> {
    match file.path().extension()?.to_str()? {
        "css" => Some("text/css; charset=utf-8"),
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_plain_and_compressed() {
        assert_eq!(all().count() * 3, FOLDER.entries().len());
        assert!(all().any(|asset| asset.name == PAGE));
        assert!(all().all(|asset| asset.brotli.is_some() && asset.gzip.is_some()));
    }

    #[test]
    fn every_file_that_a_file_names_is_there() {
        let names: BTreeSet<&str> = all().map(|asset| asset.name).collect();
        for Asset { name, content, .. } in all() {
            let quoted = str::from_utf8(content).unwrap().split(['\'', '"', '`']);
            for other in quoted.filter_map(local) {
                assert!(names.contains(other), "{name} names {other}");
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
