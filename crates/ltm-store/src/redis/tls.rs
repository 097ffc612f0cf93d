//! TLS to Redis: the certificates that it trusts, and the certificate of the client.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::{error::StoreError, redis::settings::RedisSettings};

/// A client of this Redis. If the URL begins with `rediss://`, it uses TLS, and checks that the certificate belongs to
/// the host in the URL. No setting turns that check off.
pub(crate) fn client(settings: &RedisSettings, info: ConnectionInfo) -> Result<Client, StoreError> {
    let invalid = |problem: String| StoreError::setting("redis.url", problem);
    let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else {
        return match first_set(settings) {
            Some(key) => Err(invalid(format!(
                "{key} is set, but the URL does not begin with rediss://"
            ))),
            None => Ok(Client::open(info)?),
        };
    };
    if *insecure {
        let cause =
            "#insecure is not supported; name the CA of the certificate in redis.tls_ca_file";
        return Err(invalid(cause.into()));
    }
    // An error means that the process has installed the provider already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::build_with_tls(info, certificates(settings)?);
    client.map_err(|e| invalid(format!("TLS cannot be set up: {e}")))
}

/// The certificates for a client of several servers; `None` without TLS.
pub(crate) fn for_nodes(settings: &RedisSettings) -> Result<Option<TlsCertificates>, StoreError> {
    let info = settings.connection_info()?;
    let is_used = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    // The same settings are wrong as for a client of one server.
    client(settings, info)?;
    is_used.then(|| certificates(settings)).transpose()
}

/// The first TLS setting that has a value.
fn first_set(settings: &RedisSettings) -> Option<&'static str> {
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
                "set it together with redis.tls_key_file, or neither",
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
    let invalid =
        |problem: String| StoreError::setting(key, format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|e| invalid(e.to_string()))?;
    if !text.windows(10).any(|part| part == b"-----BEGIN") {
        return Err(invalid("the file is not PEM".into()));
    }
    Ok(Some(text))
}
