//! The metrics of a service, as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Service, until};

/// One answer of `/metrics`, in the text format.
pub struct Scrape {
    /// By series: `ltm_resets_total{reason="forked"}`.
    values: BTreeMap<String, f64>,
    /// The types of the metrics, by name.
    pub families: BTreeMap<String, String>,
}

impl Scrape {
    /// Asks the service for its metrics.
    ///
    /// # Panics
    ///
    /// If a line is not in the text format, or a metric is described twice.
    pub async fn of(service: &Service) -> Self {
        let answer = reqwest::get(format!("{}/metrics", service.http()))
            .await
            .expect("the service answers");
        assert_eq!(answer.status(), 200);
        let content_type = answer.headers()["content-type"].to_str().expect("text");
        assert!(content_type.starts_with("text/plain; version=0.0.4"));
        Self::read(&answer.text().await.expect("text"))
    }

    fn read(text: &str) -> Self {
        let (mut values, mut families) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                let (name, kind) = described.split_once(' ').expect("a type");
                let before = families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is described twice");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let value = value.parse().expect("a number");
                let before = values.insert(series.to_owned(), value);
                assert_eq!(before, None, "{series} is there twice");
            }
        }
        Self { values, families }
    }

    /// The value of a series, or 0 if the series does not exist.
    pub fn value(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or(0.0)
    }

    /// All series.
    pub fn series(&self) -> BTreeSet<&str> {
        self.values.keys().map(String::as_str).collect()
    }

    /// Asks the service again and again until a series has at least this value.
    pub async fn until(service: &Service, series: &str, at_least: f64) -> Self {
        until(&format!("{series} is {at_least}"), async || {
            let scrape = Self::of(service).await;
            let value = scrape.value(series);
            if value >= at_least {
                Ok(scrape)
            } else {
                Err(value)
            }
        })
        .await
    }
}
