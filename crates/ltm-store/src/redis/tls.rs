//! TLS to Redis: whom it trusts, and what it shows.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::{error::StoreError, redis::settings::RedisSettings};

/// A client for this Redis. Where its URL begins with `rediss://` it speaks TLS, and proves that the certificate is for
/// the host in the URL: there is no way to leave that out.
pub(crate) fn client(settings: &RedisSettings, info: ConnectionInfo) -> Result<Client, StoreError> {
    let refused = |problem: String| StoreError::setting("redis.url", problem);
    let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else {
        return match set_for_nothing(settings) {
            Some(key) => Err(refused(format!(
                "{key} is set, and the URL does not begin with rediss://"
            ))),
            None => Ok(Client::open(info)?),
        };
    };
    if *insecure {
        let cause =
            "#insecure is not supported; name the CA of the certificate in redis.tls_ca_file";
        return Err(refused(cause.into()));
    }
    // An error means that the process has one already: all of it uses the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::build_with_tls(info, certificates(settings)?);
    client.map_err(|e| refused(format!("TLS cannot be set up: {e}")))
}

/// What a client of several servers needs for TLS; `None` where it is not spoken.
pub(crate) fn for_nodes(settings: &RedisSettings) -> Result<Option<TlsCertificates>, StoreError> {
    let info = settings.connection_info()?;
    let is_used = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    // Refused for the same reasons as a client of one of them.
    client(settings, info)?;
    is_used.then(|| certificates(settings)).transpose()
}

/// A setting of TLS that has a value, where there is no TLS.
fn set_for_nothing(settings: &RedisSettings) -> Option<&'static str> {
    files(settings)
        .into_iter()
        .find_map(|(key, path)| (!is_unset(path)).then_some(key))
}

fn files(settings: &RedisSettings) -> [(&'static str, &Path); 3] {
    [
        ("redis.tls_ca_file", &settings.tls_ca_file),
        ("redis.tls_cert_file", &settings.tls_cert_file),
        ("redis.tls_key_file", &settings.tls_key_file),
    ]
}

fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn certificates(settings: &RedisSettings) -> Result<TlsCertificates, StoreError> {
    let [ca, cert, key] = files(settings).map(|(name, path)| read(name, path));
    let client_tls = match (cert?, key?) {
        (None, None) => None,
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig {
            client_cert,
            client_key,
        }),
        _ => {
            return Err(StoreError::setting(
                "redis.tls_cert_file",
                "it goes together with redis.tls_key_file, and one of them is not set",
            ));
        }
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert: ca?,
    })
}

fn read(key: &str, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    if is_unset(path) {
        return Ok(None);
    }
    let refused =
        |problem: String| StoreError::setting(key, format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
    if !text.windows(10).any(|part| part == b"-----BEGIN") {
        return Err(refused("it is not PEM".into()));
    }
    Ok(Some(text))
}
