//! The inspector: a page that shows LTMs live, in the browser, with all that it needs in this binary.
//!
//! [`configure`] mounts it in a server. The page is the same for everybody and holds no data: what it shows
//! it asks the API and the gateway for, as any other client does.

mod assets;
mod policy;

use actix_web::web::{Bytes, ServiceConfig};

use assets::{ASSETS, Asset, PAGE};

/// Where the files are that the page loads; the page itself is at `/`.
pub const FOLDER: &str = "/inspector";

/// Mounts the page and its files.
pub fn configure(config: &mut ServiceConfig) {
    mount(config, "/", &PAGE);
    for asset in ASSETS {
        mount(config, &format!("{FOLDER}/{}", asset.name), asset);
    }
}

fn mount(config: &mut ServiceConfig, path: &str, asset: &Asset) {
    let file = ltm_page::File {
        media_type: asset.media_type,
        content: Bytes::from_static(asset.content.as_bytes()),
        headers: policy::HEADERS,
    };
    ltm_page::mount(config, path, file);
}
