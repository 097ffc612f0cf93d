//! The Sentinels that say which Redis leads.

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::{error::StoreError, redis::settings::RedisSettings, redis::tls};

/// A client that asks the Sentinels of these settings. User, password, database and TLS of the primary are those of
/// `redis.url`; the Sentinels have a user and password of their own, the same for all.
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
        return Err(refused(
            "the Sentinels speak TLS (rediss://) and redis.url does not; Redis behind them must speak TLS, too",
        ));
    }
    Ok(builder.build()?)
}

fn refused(cause: &str) -> StoreError {
    StoreError::setting("redis.sentinels", cause)
}

/// Where the Sentinels are, and who is shown to them.
fn infos(settings: &RedisSettings) -> Result<Vec<ConnectionInfo>, StoreError> {
    let info = |url: &String| {
        let refused = |cause: String| {
            let shown = crate::redis::settings::without_password(url);
            StoreError::setting("redis.sentinels", format!("{shown}: {cause}"))
        };
        let info = url.as_str().into_connection_info();
        let info = info.map_err(|e| refused(format!("{e}; give redis://host:26379")))?;
        match info.redis_settings().db() {
            0 => Ok(info),
            _ => Err(refused(
                "a Sentinel has no databases; put the database into redis.url".into(),
            )),
        }
    };
    settings.sentinels.iter().map(info).collect()
}

/// Their addresses, and the user that is the same for all.
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
        return Err(refused(
            "they have different users or passwords; give all of them the same",
        ));
    }
    let addresses = sentinels.iter().map(|it| it.addr().clone()).collect();
    Ok((addresses, user))
}

/// Whether all of them speak TLS, rather than none.
fn all_tls(addresses: &[ConnectionAddr]) -> Result<bool, StoreError> {
    let all: Vec<bool> = addresses
        .iter()
        .map(|it| is_tls("redis.sentinels", it))
        .collect::<Result<_, _>>()?;
    match (all.contains(&true), all.contains(&false)) {
        (true, true) => Err(refused(
            "some begin with redis:// and some with rediss://; give all of them the same",
        )),
        (tls, _) => Ok(tls),
    }
}

/// Whether this address, which a setting gives, is spoken to over TLS.
fn is_tls(setting: &str, address: &ConnectionAddr) -> Result<bool, StoreError> {
    let refused = |cause: &str| StoreError::setting(setting, cause);
    match address {
        ConnectionAddr::Tcp(..) => Ok(false),
        ConnectionAddr::TcpTls {
            insecure: false, ..
        } => Ok(true),
        ConnectionAddr::TcpTls { .. } => Err(refused(
            "#insecure is not supported; name the CA of the certificate in redis.tls_ca_file",
        )),
        _ => Err(refused(
            "with redis.sentinels it must begin with redis:// or rediss://",
        )),
    }
}
