//! The services that most tests start.

use crate::{Api, RedisServer, Service};

/// One Redis with an API and a gateway on it.
pub struct Stack {
    /// Dropped last: the services end first.
    pub api: Api,
    /// The gateway.
    pub gateway: Service,
    /// The API's process.
    pub api_service: Service,
    /// Redis.
    pub redis: RedisServer,
}

impl Stack {
    /// Starts all three.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts all three with these settings of the services.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start(&[]);
        let api_service = Service::api(&redis.url(), settings);
        let gateway = Service::gateway(&redis.url(), settings);
        let api = Api::at(&api_service);
        Self {
            api,
            gateway,
            api_service,
            redis,
        }
    }
}
