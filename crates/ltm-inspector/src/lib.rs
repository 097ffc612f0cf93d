//! The inspector: a page that shows LTMs live in the browser. All its files are in the binary.
//!
//! [`configure`] mounts it in a server. The page is the same for every user and holds no data. It asks the API and the
//! gateway, as any other client does.

mod assets;
mod gateway;
mod policy;
#[cfg(test)]
mod serve_tests;

use actix_web::web::{Bytes, ServiceConfig};
use ltm_page::Compressed;

use assets::Asset;
pub use gateway::Gateway;

/// The folder of the files that the page loads. The page itself is at `/`.
pub const FOLDER: &str = "/inspector";

/// What the page names its gateway by.
const NO_GATEWAY: &str = r#"<meta name="ltm-gateway" content="">"#;

/// Mounts the page and its files. Without a `gateway`, the page follows LTMs at the URL that it comes from.
pub fn configure(config: &mut ServiceConfig, gateway: Option<&Gateway>) {
    let headers = policy::headers(gateway);
    for asset in assets::all() {
        let path = match asset.name {
            assets::PAGE => "/".to_owned(),
            name => format!("{FOLDER}/{name}"),
        };
        let (content, compressed) = match gateway {
            Some(gateway) if asset.name == assets::PAGE => {
                (naming(asset.content, gateway), Compressed::default())
            }
            _ => (Bytes::from_static(asset.content), compressed(&asset)),
        };
        let file = ltm_page::File {
            media_type: asset.media_type,
            content,
            compressed,
            headers: headers.clone(),
        };
        ltm_page::mount(config, &path, file);
    }
}

/// The compressed forms of an asset.
fn compressed(asset: &Asset) -> Compressed {
    Compressed {
        brotli: asset.brotli.map(Bytes::from_static),
        gzip: asset.gzip.map(Bytes::from_static),
    }
}

/// The page that names this gateway.
fn naming(page: &'static [u8], gateway: &Gateway) -> Bytes {
    let named = NO_GATEWAY.replace(r#""">"#, &format!(r#""{}">"#, gateway.url));
    // The page is UTF-8, as every file of the folder.
    String::from_utf8_lossy(page)
        .replace(NO_GATEWAY, &named)
        .into()
}
