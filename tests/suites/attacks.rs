//! Attacks on the running service. docs/SECURITY.md lists what each of them did once,
//! and which case shows that it does so no more.

mod answers;
mod browsers;
mod descriptors;
mod floods;
mod hoarders;
mod leaks;
pub mod operators;
mod planted;
mod privileges;
mod standalone;
mod tokens;

use std::time::Duration;

use tests::Process;

const SOON: Duration = Duration::from_secs(20);

/// Returns the memory that a process uses, in kB.
fn memory(process: &Process) -> u64 {
    let status = format!("/proc/{}/status", process.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1);
    kilobytes.unwrap().parse().unwrap()
}

/// Returns the time for which a process has used a processor, in hundredths of a second.
fn processor_time(process: &Process) -> u64 {
    let stat = format!("/proc/{}/stat", process.id().unwrap());
    let stat = std::fs::read_to_string(stat).unwrap();
    // The name in parentheses may contain spaces. utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    let times = fields.skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}
