//! The metrics of a service at one time, and what they say about the time between two.

use std::{collections::HashMap, time::Instant};

/// The metric that measures how late subscribers get entries.
const LAG: &str = "ltm_delivery_lag_seconds";
/// The part of the deliveries that are not later than the lag that is shown.
const MOST: f64 = 0.99;

/// The metrics of a service at one time.
pub(super) struct Scrape {
    at: Instant,
    /// The sum of the series of each metric.
    sums: HashMap<String, f64>,
    /// How many deliveries had at most this lag: the buckets of the histogram, in order.
    lags: Vec<(f64, f64)>,
}

impl Scrape {
    /// Reads Prometheus's text format. Lines that it does not know are left out.
    pub(super) fn read(text: &str) -> Self {
        let mut scrape = Self {
            at: Instant::now(),
            sums: HashMap::new(),
            lags: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            scrape.add(line);
        }
        scrape
    }

    fn add(&mut self, line: &str) -> Option<()> {
        // A time may follow the value; the services write none. A label may have spaces, a value none.
        let (series, value) = line.trim_end().rsplit_once(' ')?;
        let value: f64 = value.parse().ok()?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        if name.strip_suffix("_bucket") == Some(LAG) {
            let (_, bound) = labels.split_once("le=\"")?;
            let (bound, _) = bound.split_once('"')?;
            self.lags.push((bound.parse().ok()?, value));
        } else {
            *self.sums.entry(name.into()).or_default() += value;
        }
        Some(())
    }

    /// The sum of the series of a metric, if the service has it.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.sums.get(name).copied()
    }

    /// By how much a counter has risen since `before`; `None` if the service does not have it, or started anew.
    pub(super) fn risen(&self, before: &Self, name: &str) -> Option<f64> {
        let risen = self.value(name)? - before.value(name)?;
        (risen >= 0.0).then_some(risen)
    }

    /// By how much a counter rises each second.
    pub(super) fn rate(&self, before: &Self, name: &str) -> Option<f64> {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let risen = self.risen(before, name)?;
        (seconds > 0.0).then(|| risen / seconds)
    }

    /// The mean lag of the deliveries since `before`, in seconds; `None` if there was none.
    pub(super) fn mean_lag(&self, before: &Self) -> Option<f64> {
        let count = self.risen(before, "ltm_delivery_lag_seconds_count")?;
        let sum = self.risen(before, "ltm_delivery_lag_seconds_sum")?;
        (count > 0.0).then(|| sum / count)
    }

    /// The lag that 99 % of the deliveries since `before` did not exceed, in seconds: the bound of its bucket.
    pub(super) fn p99_lag(&self, before: &Self) -> Option<f64> {
        let count = self.risen(before, "ltm_delivery_lag_seconds_count")?;
        let buckets = self.lags.iter().zip(&before.lags);
        let mut risen = buckets.map(|((bound, now), (_, then))| (*bound, now - then));
        let (bound, _) = risen.find(|(_, risen)| *risen >= count * MOST)?;
        (count > 0.0).then_some(bound)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scrape(entries: u32, lags: [u32; 3], sum: f64) -> Scrape {
        let [low, high, all] = lags;
        Scrape::read(&format!(
            "# HELP ltm_entries Entries\n\
             ltm_entries_total{{kind=\"a b\"}} {entries}\n\
             ltm_entries_total{{kind=\"error\"}} 1\n\
             ltm_delivery_lag_seconds_bucket{{le=\"0.001\"}} {low}\n\
             ltm_delivery_lag_seconds_bucket{{le=\"0.5\"}} {high}\n\
             ltm_delivery_lag_seconds_bucket{{le=\"+Inf\"}} {all}\n\
             ltm_delivery_lag_seconds_sum {sum}\n\
             ltm_delivery_lag_seconds_count {all}\n"
        ))
    }

    #[test]
    fn rates_and_lags_are_those_between_two_scrapes() {
        let before = scrape(9, [5, 6, 6], 1.0);
        let mut now = scrape(29, [104, 106, 106], 3.0);
        now.at = before.at + Duration::from_secs(2);
        assert_eq!(now.value("ltm_entries_total"), Some(30.0));
        assert_eq!(now.rate(&before, "ltm_entries_total"), Some(10.0));
        assert_eq!(now.mean_lag(&before), Some(0.02));
        assert_eq!(now.p99_lag(&before), Some(0.001));
        assert_eq!(now.rate(&before, "ltm_subscribers"), None);
    }

    #[test]
    fn nothing_is_said_of_a_service_that_started_anew_or_delivered_nothing() {
        let (old, new) = (scrape(9, [5, 6, 6], 1.0), scrape(0, [0, 0, 0], 0.0));
        assert_eq!(new.rate(&old, "ltm_entries_total"), None);
        assert_eq!(new.p99_lag(&old), None);
        let later = scrape(9, [5, 6, 6], 1.0);
        assert_eq!((later.mean_lag(&old), later.p99_lag(&old)), (None, None));
    }
}
