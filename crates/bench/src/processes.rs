//! What the kernel knows of a process: CPU time and resident memory, from /proc.

use std::{fs, time::Duration};

use anyhow::Context;

/// Linux counts in hundredths of a second for user programs, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of one process, user and system, with all its threads.
pub fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    Ok(Stat::read(process)?.own)
}

/// CPU time of a process and of all its children, those that have ended too: PostgreSQL with all its backends.
pub fn cpu_time_with_children(process: u32) -> anyhow::Result<Duration> {
    let parent = Stat::read(process)?;
    let mut total = parent.own + parent.waited_for;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the listing and the look.
        if let Ok(stat) = Stat::read(child)
            && stat.parent == process
        {
            total += stat.own;
        }
    }
    Ok(total)
}

/// CPU time of this process.
pub fn own_cpu_time() -> anyhow::Result<Duration> {
    cpu_time(std::process::id())
}

/// CPU time of this process's children that have ended and were waited for.
pub fn own_children_cpu_time() -> anyhow::Result<Duration> {
    Ok(Stat::read(std::process::id())?.waited_for)
}

struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that have ended.
    waited_for: Duration,
}

impl Stat {
    fn read(process: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        Self::parse(&text).with_context(|| format!("{path} is not understood"))
    }

    /// The fields after the name, which may hold anything, begin with the third.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok().map(|ticks| TICK * ticks);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            waited_for: ticks(13)? + ticks(14)?,
        })
    }
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub now: u64,
    /// The most there ever was.
    pub peak: u64,
}

pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let bytes = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
    };
    Ok(Memory { now: bytes("VmRSS:").context("no VmRSS")?, peak: bytes("VmHWM:").context("no VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_is_skipped() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 0 1 2 3 4 50 25 10 5 20 0 1 0 9 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.parent, 3);
        assert_eq!(stat.own, Duration::from_millis(750));
        assert_eq!(stat.waited_for, Duration::from_millis(150));
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        assert!(memory(std::process::id()).unwrap().now > 0);
        assert!(own_cpu_time().is_ok());
    }
}
