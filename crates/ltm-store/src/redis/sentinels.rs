//! The client of the Sentinels, which report the primary.

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::{error::StoreError, redis::settings::RedisSettings, redis::tls};

/// A client of the Sentinels of these settings. `redis.url` gives the user, the password, the database and TLS for the
/// primary. The Sentinels have a user and a password of their own, the same for all of them.
///
/// # Errors
///
/// [`StoreError::Setting`] if a setting cannot be used.
pub(crate) fn client(settings: &RedisSettings) -> Result<SentinelClient, StoreError> {
    let primary = settings.connection_info()?;
    let primary_tls = is_tls("redis.url", primary.addr())?;
    let certificates = tls::for_nodes(settings)?;
    let sentinels = infos(settings)?;
    let (addresses, user) = one_user(sentinels)?;
    let mut builder = SentinelClientBuilder::new(
        addresses.clone(),
        &settings.sentinel_service,
        SentinelServerType::Master,
    )?;
    let to_primary = primary.redis_settings();
    builder = builder
        .set_client_to_redis_db(to_primary.db())
        .set_client_to_redis_protocol(to_primary.protocol())
        .set_client_to_redis_tcp_settings(primary.tcp_settings().clone());
    if let Some(username) = to_primary.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = to_primary.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(username) = user.username() {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = user.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if primary_tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        if all_tls(&addresses)? {
            builder = builder.set_client_to_sentinel_certificates(certificates.clone());
        }
        builder = builder.set_client_to_redis_certificates(certificates);
    } else if all_tls(&addresses)? {
        return Err(invalid(
            "the Sentinels use TLS (rediss://), and redis.url does not; use TLS for both",
        ));
    }
    Ok(builder.build()?)
}

fn invalid(cause: &str) -> StoreError {
    StoreError::setting("redis.sentinels", cause)
}

/// The addresses of the Sentinels, each with user and password.
fn infos(settings: &RedisSettings) -> Result<Vec<ConnectionInfo>, StoreError> {
    let info = |url: &String| {
        let invalid = |cause: String| {
            let shown = ltm_settings::shown_url(url);
            StoreError::setting("redis.sentinels", format!("{shown}: {cause}"))
        };
        let info = url.as_str().into_connection_info();
        let info = info.map_err(|e| invalid(format!("{e}; give redis://host:26379")))?;
        match info.redis_settings().db() {
            0 => Ok(info),
            _ => Err(invalid(
                "a Sentinel has no databases; name the database in redis.url".into(),
            )),
        }
    };
    settings.sentinels.iter().map(info).collect()
}

/// The addresses of the Sentinels, and the user that they have in common.
fn one_user(
    sentinels: Vec<ConnectionInfo>,
) -> Result<(Vec<ConnectionAddr>, RedisConnectionInfo), StoreError> {
    let user = sentinels.first().map(|it| it.redis_settings().clone());
    let user = user.unwrap_or_default();
    let same = |it: &ConnectionInfo| {
        let other = it.redis_settings();
        other.username() == user.username() && other.password() == user.password()
    };
    if !sentinels.iter().all(same) {
        return Err(invalid(
            "the Sentinels have different users or passwords; use the same for all of them",
        ));
    }
    let addresses = sentinels.iter().map(|it| it.addr().clone()).collect();
    Ok((addresses, user))
}

/// Whether all Sentinels use TLS; false if none does.
fn all_tls(addresses: &[ConnectionAddr]) -> Result<bool, StoreError> {
    let all: Vec<bool> = addresses
        .iter()
        .map(|it| is_tls("redis.sentinels", it))
        .collect::<Result<_, _>>()?;
    match (all.contains(&true), all.contains(&false)) {
        (true, true) => Err(invalid(
            "some begin with redis:// and some with rediss://; use the same for all Sentinels",
        )),
        (tls, _) => Ok(tls),
    }
}

/// Whether this address of a setting uses TLS.
fn is_tls(setting: &str, address: &ConnectionAddr) -> Result<bool, StoreError> {
    let invalid = |cause: &str| StoreError::setting(setting, cause);
    match address {
        ConnectionAddr::Tcp(..) => Ok(false),
        ConnectionAddr::TcpTls {
            insecure: false, ..
        } => Ok(true),
        ConnectionAddr::TcpTls { .. } => Err(invalid(
            "#insecure is not supported; name the CA of the certificate in redis.tls_ca_file",
        )),
        _ => Err(invalid(
            "with redis.sentinels it must begin with redis:// or rediss://",
        )),
    }
}
