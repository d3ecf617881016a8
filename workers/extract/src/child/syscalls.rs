//! The system calls a parser may make: memory, its open descriptors, the clock, locks and its own end.
//!
//! Two filters. The first kills the process for a call that no parser has an honest reason to make (a new program, a socket, a
//! debugger): that is an attack, and a dead child is the clearest report. The second allows the short list below and answers
//! "not permitted" to the rest, because libraries probe for features and cope with a refusal. File metadata by path is refused as
//! well; `formats::Input` does without.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use crate::sandbox::SandboxStatus;

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Allowed whatever the arguments.
const ALLOWED: &[c_long] = &[
    // The job: its file, its frames.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_close,
    // Memory. Mapping and protecting are in `RESTRICTED`.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Locks, time and randomness of the standard library.
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    // Signal handlers: stack overflow is reported by one.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // The end.
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Deadly whatever the arguments.
const DEADLY: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_io_uring_setup,
];

/// Filters all threads of this process and adds to `status` what could not be done.
pub(super) fn restrict(mut status: SandboxStatus) -> SandboxStatus {
    let installed = filters()
        .map_err(seccompiler::Error::from)
        .and_then(|programs| {
            programs
                .iter()
                .try_for_each(|program| seccompiler::apply_filter_all_threads(program))
        });
    if installed.is_err() {
        status.lacks("seccomp");
    }
    status
}

/// The deadly calls first: once the second filter stands, no further one can be installed.
fn filters() -> Result<[BpfProgram; 2], BackendError> {
    let deadly = DEADLY.iter().map(|&call| (call, Vec::new())).collect();
    let mut allowed: Rules = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        allowed.insert(call, vec![never_executable()?]);
    }
    allowed.insert(libc::SYS_tgkill, vec![only_own_process()?]);
    Ok([
        compile(deadly, SeccompAction::Allow, SeccompAction::KillProcess)?,
        compile(
            allowed,
            SeccompAction::Errno(libc::EPERM as u32),
            SeccompAction::Allow,
        )?,
    ])
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        rules,
        otherwise,
        matched,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// Third argument of `mmap` and `mprotect`: no page becomes executable.
fn never_executable() -> Result<SeccompRule, BackendError> {
    let exec = libc::PROT_EXEC as u64;
    SeccompRule::new(vec![SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(exec),
        0,
    )?])
}

/// First argument of `tgkill`: `abort` signals its own process and nothing else may be signalled.
fn only_own_process() -> Result<SeccompRule, BackendError> {
    let own = u64::from(std::process::id());
    SeccompRule::new(vec![SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        own,
    )?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_on_this_machine() {
        let [deadly, allowed] = filters().unwrap();
        assert!(deadly.len() > DEADLY.len() && allowed.len() > ALLOWED.len());
    }

    #[test]
    fn nothing_is_both_allowed_and_deadly() {
        assert!(ALLOWED.iter().all(|call| !DEADLY.contains(call)));
    }
}
