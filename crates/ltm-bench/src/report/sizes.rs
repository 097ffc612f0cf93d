//! How the figures of `scale` change with the size of the deployment.

use super::row::Row;

/// The scenario whose sizes are compared.
pub(crate) const SCENARIO: &str = "scale";
/// The figure that is the size.
pub(crate) const SUBSCRIBERS: &str = "subscribers";
/// The size with which the others are compared.
pub(super) const BASE: u32 = 10_000;

/// The CPU time of all processes.
pub(crate) const DELIVERY: &str = "CPU µs a delivery";
/// The CPU time of all processes of a kind.
pub(crate) const API: &str = "API µs an append";
pub(crate) const GATEWAY: &str = "gateway µs an append";
pub(crate) const REDIS: &str = "Redis µs an append";
/// The memory of all gateways.
pub(crate) const MEMORY: &str = "KiB a subscriber";

/// The figures that are compared, and the names of the ratios.
const COMPARED: [(&str, &str); 5] = [
    (DELIVERY, "× CPU"),
    (API, "× API"),
    (GATEWAY, "× gateway"),
    (REDIS, "× Redis"),
    (MEMORY, "× KiB"),
];

/// Adds the ratios to the figures of the base, if that was measured, too.
pub(super) fn compare(rows: &mut [Row]) {
    let is_base = |row: &&Row| {
        row.scenario == SCENARIO && row.figures.get(SUBSCRIBERS) == Some(&f64::from(BASE))
    };
    let Some(base) = rows.iter().find(is_base).cloned() else {
        return;
    };
    for row in rows.iter_mut().filter(|row| row.scenario == SCENARIO) {
        for (name, ratio) in COMPARED {
            if let (Some(own), Some(other)) = (row.figures.get(name), base.figures.get(name)) {
                row.figures.insert(ratio, own / other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Kind;

    fn row(size: f64, delivery: f64) -> Row {
        let row = Row::new(SCENARIO, Kind::Live, "");
        row.with(SUBSCRIBERS, size).with(DELIVERY, delivery)
    }

    #[test]
    fn every_size_is_compared_with_the_base() {
        let mut rows = [row(1e3, 30.0), row(1e4, 20.0), row(1e5, 25.0)];
        compare(&mut rows);
        let ratios = rows.map(|row| row.figures.get("× CPU").copied());
        assert_eq!(ratios, [Some(1.5), Some(1.0), Some(1.25)]);
    }

    #[test]
    fn without_the_base_there_is_no_ratio() {
        let mut rows = [row(20.0, 30.0), row(40.0, 20.0)];
        compare(&mut rows);
        assert!(rows.iter().all(|row| !row.figures.contains_key("× CPU")));
    }
}
