//! The share of a processor that Lambda gives to a function of 128 MB, by the means of the Linux kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::Failure;

/// Microseconds within which the share is handed out. *Assumed*: that of Lambda isn't published.
const PERIOD: u32 = 20_000;
/// Lambda developer guide, "Configure Lambda function memory": 1 769 MB have the equivalent of one processor.
const QUOTA: u32 = PERIOD * 128 / 1_769;

/// A control group that holds its members to the share. It is removed when this is dropped.
pub(crate) struct Share {
    group: PathBuf,
    how: &'static str,
}

impl Share {
    /// Makes the group, of the version that this system has.
    pub(crate) fn new() -> Result<Self, Failure> {
        let name = format!("tributary-cold-start-{}", process::id());
        let (first, second) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let share = if first.is_dir() {
            Share { group: first.join(name), how: "control group v1" }
        } else if second.join("cgroup.controllers").is_file() {
            Share { group: second.join(name), how: "control group v2" }
        } else {
            return Err("this system has no control groups where they are looked for".into());
        };
        let refused = |error| format!("{}: {error}", share.group.display());
        fs::create_dir(&share.group).map_err(refused)?;
        if share.how.ends_with('1') {
            fs::write(share.group.join("cpu.cfs_period_us"), PERIOD.to_string()).map_err(refused)?;
            fs::write(share.group.join("cpu.cfs_quota_us"), QUOTA.to_string()).map_err(refused)?;
        } else {
            fs::write(share.group.join("cpu.max"), format!("{QUOTA} {PERIOD}")).map_err(refused)?;
        }
        Ok(share)
    }

    /// The file that takes the numbers of its members.
    pub(crate) fn members(&self) -> PathBuf {
        self.group.join("cgroup.procs")
    }

    /// By what it is held.
    pub(crate) fn how(&self) -> &'static str {
        self.how
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // The last of its members may be a while in dying.
        for _ in 0..50 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
