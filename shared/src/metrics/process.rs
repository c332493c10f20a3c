//! The process itself: its build, and what it uses. The names are those that Prometheus's
//! clients share.

use std::fs;
use std::sync::LazyLock;

use prometheus::{Counter, Gauge, IntGauge, IntGaugeVec};
use rustix::time::{ClockId, clock_gettime};

use super::{gauges, registered};
use crate::clock::{Clock, Timestamp};
use crate::runtime;

static START: LazyLock<Gauge> = LazyLock::new(|| {
    let help = "Time at which the process started, in seconds since 1970.";
    let start = registered(Gauge::new("process_start_time_seconds", help));
    let now = Clock::system().now().as_micros();
    #[expect(
        clippy::cast_precision_loss,
        reason = "the seconds of today need far fewer than 52 bits"
    )]
    start.set(now as f64 / 1e6);
    start
});

static CPU: LazyLock<Counter> = LazyLock::new(|| {
    let help = "Processor time that the process has used, in seconds.";
    registered(Counter::new("process_cpu_seconds_total", help))
});

static MEMORY: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Resident memory, in bytes.";
    registered(IntGauge::new("process_resident_memory_bytes", help))
});

static DESCRIPTORS: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Open descriptors: files and sockets.";
    registered(IntGauge::new("process_open_fds", help))
});

static MOST_DESCRIPTORS: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Descriptors that the process may open.";
    registered(IntGauge::new("process_max_fds", help))
});

static BUILD: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "partner_keys_build_info",
        "The version and the commit of the program; always 1.",
        &["version", "commit"],
    )
});

/// Shows the build and the start. The process starts when it first calls this.
pub(super) fn show() {
    LazyLock::force(&START);
    let build = [env!("CARGO_PKG_VERSION"), env!("GIT_COMMIT")];
    BUILD.with_label_values(&build).set(1);
}

/// Returns the start, in nanoseconds since 1970.
pub(super) fn started_at() -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the microseconds of the start were whole, and after 1970"
    )]
    let micros = (START.get() * 1e6) as u64;
    micros * 1000
}

/// Returns a time in nanoseconds since 1970.
pub(super) fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or_default() * 1000
}

/// Reads what the process uses now.
pub(super) fn refresh() {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the processor time of centuries needs fewer than 52 bits"
    )]
    let used = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    CPU.inc_by((used - CPU.get()).max(0.0));
    MOST_DESCRIPTORS.set(i64::try_from(runtime::max_descriptors()).unwrap_or(i64::MAX));
    if let Some(bytes) = resident_memory() {
        MEMORY.set(bytes);
    }
    if let Ok(open) = fs::read_dir("/dev/fd") {
        // One of them is that of the directory.
        let open = open.count().saturating_sub(1);
        DESCRIPTORS.set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

/// Returns the resident memory in bytes, where the system has Linux's `/proc`.
fn resident_memory() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_uses_memory_time_and_descriptors() {
        refresh();
        assert!(resident_memory().unwrap() > 1024 * 1024);
        let before = CPU.get();
        while CPU.get() <= before {
            refresh();
        }
        assert!((1..=MOST_DESCRIPTORS.get()).contains(&DESCRIPTORS.get()));
    }
}
