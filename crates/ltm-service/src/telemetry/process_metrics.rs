//! What the system reports about this process, under the names that the client libraries of Prometheus use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

/// This process at the time of a scrape. Only Linux reports it.
#[derive(Debug)]
pub(crate) struct ProcessMetrics;

impl Collector for ProcessMetrics {
    #[cfg(not(target_os = "linux"))]
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // If the system does not report it, the metrics are absent.
        linux::usage().map_or(Ok(()), |usage| linux::encode(&usage, encoder))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;

    use procfs::{ProcResult, WithCurrentSystemInfo, process::LimitValue};
    use prometheus_client::{
        encoding::{DescriptorEncoder, EncodeMetric},
        metrics::{counter::ConstCounter, gauge::ConstGauge},
    };

    pub(super) struct Usage {
        cpu_seconds: f64,
        resident_bytes: u64,
        virtual_bytes: u64,
        open_files: u64,
        max_files: u64,
        started: f64,
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn usage() -> ProcResult<Usage> {
        let own = procfs::process::Process::myself()?;
        let stat = own.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let max_files = match own.limits()?.max_open_files.soft_limit {
            LimitValue::Value(files) => files,
            LimitValue::Unlimited => u64::MAX,
        };
        Ok(Usage {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            open_files: own.fd_count()? as u64,
            max_files,
            started: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        })
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn encode(
        usage: &Usage,
        mut encoder: DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let cpu = ConstCounter::new(usage.cpu_seconds);
        let help = "User and system CPU time of this process";
        let of = encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?;
        cpu.encode(of)?;
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                usage.resident_bytes as f64,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory",
                usage.virtual_bytes as f64,
            ),
            (
                "process_open_fds",
                "Open files and sockets",
                usage.open_files as f64,
            ),
            (
                "process_max_fds",
                "Limit of open files and sockets",
                usage.max_files as f64,
            ),
            (
                "process_start_time_seconds",
                "Start time of the process, in seconds since 1970",
                usage.started,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let of = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(of)?;
        }
        Ok(())
    }
}
