//! The load that a deployment has to bear, and the machines that it may have.

use serde::Serialize;

/// The load.
#[derive(clap::Args, Clone, Copy, Debug, Serialize)]
pub(crate) struct Load {
    /// Subscribers, connected at the same time
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(super) subscribers: f64,
    /// LTMs that they follow
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(super) ltms: f64,
    /// Appends per second to all these LTMs together
    #[arg(long, value_name = "RATE", value_parser = count)]
    pub(super) appends: f64,
    /// Bytes of the message of an append
    #[arg(long, value_name = "BYTES", value_parser = count, default_value = "500")]
    pub(super) message: f64,
    /// LTMs in Redis, followed or not [default: those that are followed]
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(super) stored: Option<f64>,
    /// Entries that the log of an LTM keeps (`retention.max_entries`)
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "1000")]
    pub(super) entries: f64,
    /// Bytes of the state of an LTM
    #[arg(long, value_name = "BYTES", value_parser = count, default_value = "2000")]
    pub(super) state: f64,
}

/// A machine of any service.
#[derive(clap::Args, Clone, Copy, Debug, Serialize)]
pub(crate) struct Machine {
    /// Cores of a machine
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "8")]
    pub(super) cores: f64,
    /// GiB of memory of a machine
    #[arg(long, value_name = "GIB", value_parser = count, default_value = "32")]
    pub(super) memory: f64,
    /// Gbit/s of the network of a machine
    #[arg(long, value_name = "GBIT", value_parser = count, default_value = "10")]
    pub(super) network: f64,
    /// Connections of a gateway (`gateway.max_subscribers`, and open files)
    #[arg(long, value_name = "COUNT", value_parser = count, default_value = "100000")]
    pub(super) connections: f64,
    /// Percent of a machine's CPU, memory and network that may be in use
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "50")]
    pub(super) busy: f64,
}

impl Load {
    /// Subscribers of an LTM, on average.
    pub(super) fn each(&self) -> f64 {
        self.subscribers / self.ltms
    }

    /// Deliveries per second.
    pub(super) fn deliveries(&self) -> f64 {
        self.appends * self.each()
    }

    /// LTMs in Redis.
    pub(super) fn stored(&self) -> f64 {
        self.stored.unwrap_or(self.ltms)
    }
}

/// A number above 0, which may be written as 1e6.
fn count(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    // More is no load of this planet, and no longer a count in a `f64`.
    if number > 0.0 && number <= 1e15 {
        return Ok(number);
    }
    Err("must be above 0 and at most 1e15".into())
}

fn percent(text: &str) -> Result<f64, String> {
    count(text).and_then(|number| match number {
        number if number <= 100.0 => Ok(number),
        _ => Err("must be at most 100".into()),
    })
}
