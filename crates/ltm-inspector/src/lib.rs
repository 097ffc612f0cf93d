//! The inspector: a page that shows LTMs live in the browser. All its files are in the binary.
//!
//! [`configure`] mounts it in a server. The page is the same for every user and holds no data. It asks the API and the
//! gateway, as any other client does.

mod assets;
mod policy;
#[cfg(test)]
mod serve_tests;

use actix_web::web::{Bytes, ServiceConfig};
use ltm_page::Compressed;

/// The folder of the files that the page loads. The page itself is at `/`.
pub const FOLDER: &str = "/inspector";

/// Mounts the page and its files.
pub fn configure(config: &mut ServiceConfig) {
    for asset in assets::all() {
        let path = match asset.name {
            assets::PAGE => "/".to_owned(),
            name => format!("{FOLDER}/{name}"),
        };
        let file = ltm_page::File {
            media_type: asset.media_type,
            content: Bytes::from_static(asset.content),
            compressed: Compressed {
                brotli: asset.brotli.map(Bytes::from_static),
                gzip: asset.gzip.map(Bytes::from_static),
            },
            headers: policy::HEADERS,
        };
        ltm_page::mount(config, &path, file);
    }
}
