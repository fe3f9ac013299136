//! Clock, processor, memory and directories of this machine.

use std::path::PathBuf;
use std::time::SystemTime;

use flatness_records::Segment;

/// This program on this machine, now, from the first step on.
pub(crate) fn segment(threads: usize, ranks: usize, device: String) -> Segment {
    Segment {
        from_step: 0,
        threads,
        ranks,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("FLATNESS_COMMIT").to_owned(),
        dirty: env!("FLATNESS_DIRTY") == "true",
        cpu: field("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        device,
        started: now(),
    }
}

/// What this process says of itself where others wait for it: process, host, the job of a batch system, when.
pub(crate) fn claim() -> String {
    let (process, host, now) = (std::process::id(), host(), now());
    let job = job().map_or_else(String::new, |job| format!(", job {job}"));
    format!("process {process} on {host}{job}, since {now}")
}

fn host() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok());
    named.map_or_else(|| "this machine".to_owned(), |name| name.trim().to_owned())
}

/// Number of the batch system's job, as its own commands take it.
fn job() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok();
    let task = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
    let task = task.map(|(job, task)| format!("{job}_{task}"));
    let jobs = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"];
    task.or_else(|| jobs.into_iter().find_map(variable))
}

/// The time, RFC 3339, UTC; a clock before 1970 says 1970.
pub(crate) fn now() -> String {
    let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(now).to_string()
}

/// Largest resident memory of this process so far in MiB; 0 where the system does not say.
pub(crate) fn peak_rss_mib() -> f64 {
    field("/proc/self/status", "VmHWM")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / 1024.0)
}

/// Memory of this machine, or of the group of processes that this one is limited with, in bytes; `None` where
/// the system does not say.
pub(crate) fn memory() -> Option<u64> {
    let kibibytes = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits.iter().filter_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    });
    kibibytes
        .map(|kibibytes| kibibytes.saturating_mul(1024))
        .into_iter()
        .chain(limits)
        .min()
}

/// Number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Number of cores of this machine, which other processes may use.
pub(crate) fn processors() -> u64 {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let all = information
        .lines()
        .filter(|line| line.starts_with("processor"));
    (all.count() as u64).max(cores() as u64)
}

/// The platform's cache directory for this program.
pub(crate) fn cache_directory() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "flatness")
        .map(|directories| directories.cache_dir().to_owned())
}

/// Proxy for downloads, where the environment names one.
pub(crate) fn proxy() -> Option<String> {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
