//! The load of one size.

use clap::value_parser;

/// The load. Each size is measured on a deployment of its own.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// Subscribers in total: one size, or several with commas between them.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1000,10000,100000",
          value_parser = value_parser!(u32).range(1..))]
    pub(crate) subscribers: Vec<u32>,
    /// Subscribers of each LTM, each at another gateway if there are enough.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    pub(super) per_ltm: u32,
    /// Appends per second to each LTM.
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    pub(super) rate_per_ltm: f64,
    /// Gateway processes, at least two: one is killed and one is drained.
    #[arg(long, value_name = "NUMBER", default_value_t = 6, value_parser = value_parser!(u8).range(2..=250))]
    pub(super) gateways: u8,
    /// API processes.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = value_parser!(u8).range(1..))]
    pub(super) apis: u8,
    /// Primaries of the Redis Cluster.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = value_parser!(u8).range(1..))]
    pub(super) primaries: u8,
    /// Seconds of the measurement. After them one gateway is killed and one is drained, while the appends continue.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..))]
    pub(super) seconds: u64,
    /// Seconds between two comparisons of all followed logs with Redis: `gateway.sweep_interval`.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..))]
    pub(super) sweep_interval: u64,
    /// Bytes per message.
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    pub(super) size: usize,
}

impl Load {
    /// The same load for each of its sizes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = Self> {
        self.subscribers.iter().map(|size| Self {
            subscribers: vec![*size],
            ..self.clone()
        })
    }

    /// The number of LTMs: enough for all subscribers.
    pub(super) fn ltms(&self) -> usize {
        let subscribers: u32 = self.subscribers.iter().sum();
        subscribers.div_ceil(self.per_ltm) as usize
    }

    /// The number of subscribers. All LTMs have equally many.
    pub(super) fn all(&self) -> usize {
        self.ltms() * self.per_ltm as usize
    }

    /// The gateway of a subscriber.
    pub(super) fn gateway_of(&self, subscriber: usize) -> usize {
        subscriber % usize::from(self.gateways)
    }

    /// The number of subscribers of a gateway.
    pub(super) fn subscribers_of(&self, gateway: usize) -> usize {
        (self.all() + usize::from(self.gateways) - 1 - gateway) / usize::from(self.gateways)
    }

    /// The load in words.
    pub(super) fn shown(&self) -> String {
        let (ltms, each) = (self.ltms(), self.per_ltm);
        let (rate, sweep) = (ltms as f64 * self.rate_per_ltm, self.sweep_interval);
        format!("{ltms} × {each}, {rate}/s, sweep {sweep} s")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        load: Load,
    }

    fn load(words: &str) -> Load {
        let words = ["scale"].into_iter().chain(words.split_whitespace());
        Command::try_parse_from(words).unwrap().load
    }

    #[test]
    fn each_size_is_a_load_and_grows_in_proportion() {
        let shown: Vec<_> = load("").sizes().map(|load| load.shown()).collect();
        assert_eq!(
            shown,
            [
                "200 × 5, 20/s, sweep 5 s",
                "2000 × 5, 200/s, sweep 5 s",
                "20000 × 5, 2000/s, sweep 5 s",
            ]
        );
    }

    #[test]
    fn every_subscriber_has_one_gateway_and_those_of_an_ltm_have_different_ones() {
        let load = load("--subscribers 52 --gateways 6");
        let mut counts = [0; 6];
        for subscriber in 0..load.all() {
            counts[load.gateway_of(subscriber)] += 1;
        }
        assert_eq!(load.all(), 55);
        let expected: Vec<_> = (0..6).map(|gateway| load.subscribers_of(gateway)).collect();
        assert_eq!(counts.to_vec(), expected);
        let mut first: Vec<_> = (0..5)
            .map(|subscriber| load.gateway_of(subscriber))
            .collect();
        first.dedup();
        assert_eq!(first.len(), 5);
    }

    #[test]
    fn nothing_can_be_left_out_entirely() {
        for words in [
            "--subscribers 0",
            "--per-ltm 0",
            "--gateways 1",
            "--apis 0",
            "--primaries 0",
        ] {
            let words = ["scale"].into_iter().chain(words.split(' '));
            assert!(Command::try_parse_from(words).is_err());
        }
    }
}
