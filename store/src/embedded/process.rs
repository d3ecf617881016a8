//! Looking at processes that are not our children.
//!
//! Linux tells everything in `/proc`; elsewhere `ps` has to do.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{is_ending, look, names};
#[cfg(not(target_os = "linux"))]
pub(super) use self::other::{is_ending, look, names};

/// What a process id stands for.
pub(super) enum Look {
    /// No process.
    Nobody,
    /// A dead process that its parent has not asked about yet.
    Zombie,
    /// A process with this command line.
    Alive(Vec<u8>),
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use rustix::process::{Pid, Signal};

    use super::Look;

    /// The kernel's flag of a process that is being taken down (`PF_EXITING`).
    const EXITING: u64 = 0x4;

    pub(in super::super) fn look(pid: Pid) -> Look {
        let Some(stat) = Stat::read(pid) else {
            return Look::Nobody;
        };
        if stat.is_dead() {
            return Look::Zombie;
        }
        fs::read(file(pid, "cmdline")).map_or(Look::Nobody, Look::Alive)
    }

    /// Whether the command line belongs to a server of this cluster. Its working directory would say so too, but root in a
    /// container may not read that of another user's process.
    pub(in super::super) fn names(arguments: &[u8], cluster: &Path) -> bool {
        arguments
            .split(|byte| *byte == 0)
            .skip(1)
            .any(|argument| argument == cluster.as_os_str().as_bytes())
    }

    /// Whether the process is gone or cannot be stopped from going: a killed process keeps its locks while its memory is freed.
    pub(in super::super) fn is_ending(pid: Pid) -> bool {
        let Some(stat) = Stat::read(pid) else {
            return true;
        };
        stat.is_dead()
            || stat.flags & EXITING != 0
            || has_pending_kill(&fs::read_to_string(file(pid, "status")).unwrap_or_default())
    }

    fn has_pending_kill(status: &str) -> bool {
        let pending = status.lines().filter_map(|line| {
            line.strip_prefix("SigPnd:")
                .or_else(|| line.strip_prefix("ShdPnd:"))
        });
        let kill = 1_u64 << (Signal::KILL.as_raw() - 1);
        pending
            .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .any(|mask| mask & kill != 0)
    }

    fn file(pid: Pid, name: &str) -> String {
        format!("/proc/{}/{name}", pid.as_raw_nonzero())
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Stat {
        state: u8,
        flags: u64,
    }

    impl Stat {
        fn read(pid: Pid) -> Option<Self> {
            Self::parse(&fs::read(file(pid, "stat")).ok()?)
        }

        /// The fields of interest stand after the program's name, which is in brackets and may itself contain any.
        fn parse(stat: &[u8]) -> Option<Self> {
            let end = stat.iter().rposition(|byte| *byte == b')')?;
            let mut fields = std::str::from_utf8(&stat[end + 1..])
                .ok()?
                .split_ascii_whitespace();
            let state = fields.next()?.bytes().next()?;
            let flags = fields.nth(5)?.parse().ok()?;
            Some(Self { state, flags })
        }

        fn is_dead(&self) -> bool {
            matches!(self.state, b'Z' | b'X')
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn state_and_flags_are_found_behind_a_hostile_name() {
            let stat = Stat::parse(b"12 (post) Z (gres) S 1 12 12 0 -1 4194560 7 0").unwrap();
            assert_eq!(
                stat,
                Stat {
                    state: b'S',
                    flags: 4_194_560
                }
            );
            assert!(
                Stat::parse(b"12 (postgres) Z 1 12 12 0 -1 4")
                    .unwrap()
                    .is_dead()
            );
            assert_eq!(Stat::parse(b"12 (cut"), None);
        }

        #[test]
        fn a_pending_kill_is_seen_and_other_signals_are_not() {
            assert!(has_pending_kill(
                "Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n"
            ));
            assert!(has_pending_kill(
                "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000300\n"
            ));
            assert!(!has_pending_kill(
                "SigPnd:\t0000000000000000\nShdPnd:\t0000000000004002\n"
            ));
        }

        #[test]
        fn we_are_not_ending_and_a_killed_process_is_at_once() {
            assert!(!is_ending(rustix::process::getpid()));
            let mut child = std::process::Command::new("sleep")
                .arg("600")
                .spawn()
                .unwrap();
            let pid = Pid::from_child(&child);
            assert!(!is_ending(pid));
            child.kill().unwrap();
            assert!(is_ending(pid));
            child.wait().unwrap();
            assert!(is_ending(pid));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;
    use std::process::Command;

    use rustix::process::Pid;

    use super::Look;

    pub(in super::super) fn look(pid: Pid) -> Look {
        let number = pid.as_raw_nonzero().to_string();
        let Ok(output) = Command::new("ps")
            .args(["-ww", "-o", "stat=,command=", "-p", &number])
            .output()
        else {
            return Look::Nobody;
        };
        match output.stdout.trim_ascii() {
            [] => Look::Nobody,
            [b'Z', ..] => Look::Zombie,
            line => Look::Alive(line.to_vec()),
        }
    }

    /// Whether the command line belongs to a server of this cluster.
    pub(in super::super) fn names(arguments: &[u8], cluster: &Path) -> bool {
        let wanted = cluster.as_os_str().as_bytes();
        arguments.windows(wanted.len()).any(|part| part == wanted)
    }

    /// Whether the process is gone. One that is being taken down cannot be told from a live one here.
    pub(in super::super) fn is_ending(pid: Pid) -> bool {
        !matches!(look(pid), Look::Alive(_))
    }
}
