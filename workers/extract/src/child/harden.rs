//! The limits that a child puts on itself before it does anything else.
//!
//! Order matters: resource limits first, then "die with the parent", then Landlock, which closes the file system, TCP and signals to
//! other processes. The system-call filter (`syscalls`) comes last, on the parsing thread, because starting that thread needs a
//! system call that the filter forbids. Whatever a kernel lacks is reported, not fatal: the parent decides whether that will do.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use crate::sandbox::SandboxStatus;

/// CPU time of a child's whole life. The parent kills by the wall clock within two minutes and replaces a child after ten, so only a
/// child whose parent is frozen gets here.
const CPU_SECONDS: u64 = 900;

/// Open files: the three standard ones, the socket twice, the job, and room for none to spare.
const OPEN_FILES: u64 = 16;

/// The newest Landlock whose every right we want denied; older kernels deny what they know.
const LANDLOCK_ABI: ABI = ABI::V6;

/// Applies everything but the system-call filter and says what is missing.
pub(super) fn restrict_process(memory_bytes: u64) -> SandboxStatus {
    let mut status = SandboxStatus::default();
    let limits = [
        (Resource::As, memory_bytes, "memory limit"),
        (Resource::Cpu, CPU_SECONDS, "cpu limit"),
        (Resource::Nofile, OPEN_FILES, "open file limit"),
        (Resource::Core, 0, "core dump limit"),
        (Resource::Fsize, 0, "file size limit"),
    ];
    for (resource, limit, name) in limits {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        if rustix::process::setrlimit(resource, limit).is_err() {
            status.lacks(name);
        }
    }
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        status.lacks("parent death signal");
    }
    if rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        status.lacks("no dumping");
    }
    match restrict_with_landlock() {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(RulesetStatus::PartiallyEnforced) => status.partly("landlock (older kernel)"),
        Ok(RulesetStatus::NotEnforced) | Err(_) => status.lacks("landlock"),
    }
    status
}

/// Denies every right Landlock knows: no rule follows, so nothing is allowed. Descriptors that are already open go on working.
fn restrict_with_landlock() -> Result<RulesetStatus, RulesetError> {
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .restrict_self()?;
    Ok(restricted.ruleset)
}
