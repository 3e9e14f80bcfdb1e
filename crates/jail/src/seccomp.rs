//! The system-call filters.
//!
//! Three filters stand on top of each other; the kernel takes the strictest answer:
//! 1. `clone3` answers ENOSYS, because its flags lie behind a pointer no filter can read; the C
//!    library then falls back to `clone`, whose flags can be checked.
//! 2. What no worker ever needs and every break-out does (sockets, programs, tracing…) kills.
//! 3. The allow-list; everything else answers EPERM, so that optional probes of the runtime
//!    (`/sys`, `/proc`) degrade instead of dying.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use thiserror::Error;

use crate::Calls;

#[derive(Debug, Error)]
pub(super) enum SeccompError {
    #[error("no filter for this processor")]
    Arch,
    #[error("the filter does not compile: {0}")]
    Compile(#[from] seccompiler::BackendError),
    #[error("the kernel refused the filter: {0}")]
    Apply(#[from] seccompiler::Error),
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that pass whatever their arguments are.
const FREE: &[libc::c_long] = &[
    // Reading tables, answering.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_gettid,
    libc::SYS_getpid,
    // Time and randomness.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
];

/// Calls that pass besides, for [`Calls::Files`]: landlock decides on paths.
const FILES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_flock,
    libc::SYS_pwrite64,
    // Sockets that are there.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    // The end of a process that was started before.
    libc::SYS_wait4,
    libc::SYS_waitid,
];
/// The same under their old names, which other processors do not have.
#[cfg(target_arch = "x86_64")]
const OLD: &[libc::c_long] =
    &[libc::SYS_unlink, libc::SYS_rename, libc::SYS_renameat, libc::SYS_readlink, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[libc::c_long] = &[];

/// Calls whose mere attempt ends the process, but where [`FILES`] or a condition lets it pass.
const DEADLY: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_memfd_create,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];

/// Installs all three filters for this thread and every thread it makes.
pub(super) fn apply(calls: Calls) -> Result<(), SeccompError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SeccompError::Arch)?;
    let enosys = SeccompAction::Errno(errno(libc::ENOSYS));
    let eperm = SeccompAction::Errno(errno(libc::EPERM));

    let no_clone3 = filter(listed(&[libc::SYS_clone3]), SeccompAction::Allow, enosys, arch)?;
    let mut killing = listed(DEADLY);
    let mut rules = listed(FREE);
    match calls {
        Calls::Compute => {}
        Calls::Files => {
            for more in [FILES, OLD] {
                killing.retain(|call, _| !more.contains(call));
                rules.extend(listed(more));
            }
            rules.extend(over_sockets()?);
            killing.insert(libc::SYS_sendto, vec![rule(4, SeccompCmpOp::Ne, 0)?]);
        }
    }
    let deadly = filter(killing, SeccompAction::Allow, SeccompAction::KillProcess, arch)?;
    // Answered by the first filter already; here only so that EPERM does not win over ENOSYS.
    rules.extend(listed(&[libc::SYS_clone3]));
    rules.extend(conditional()?);
    let allowed = filter(rules, eperm, SeccompAction::Allow, arch)?;

    for program in [&no_clone3, &deadly, &allowed] {
        install(program)?;
    }
    Ok(())
}

/// Installing the next filter is itself a system call: earlier filters let it pass, the last one
/// (the allow-list) does not list it, so nothing can be stacked afterwards.
fn install(program: &BpfProgram) -> Result<(), SeccompError> {
    Ok(seccompiler::apply_filter(program)?)
}

fn filter(
    rules: Rules,
    mismatch: SeccompAction,
    matched: SeccompAction,
    arch: TargetArch,
) -> Result<BpfProgram, SeccompError> {
    Ok(SeccompFilter::new(rules, mismatch, matched, arch)?.try_into()?)
}

fn listed(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

fn errno(code: libc::c_int) -> u32 {
    code.unsigned_abs()
}

/// Calls that pass only with harmless arguments.
fn conditional() -> Result<Rules, SeccompError> {
    use SeccompCmpOp::{Eq, MaskedEq};

    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let exec = u64::from(libc::PROT_EXEC.unsigned_abs());
    let own = u64::from(std::process::id());
    let name = u64::from(libc::PR_SET_NAME.unsigned_abs());
    let set_vma = u64::from(libc::PR_SET_VMA.unsigned_abs());

    Ok(Rules::from([
        // Threads, not processes.
        (libc::SYS_clone, vec![rule(0, MaskedEq(thread), thread)?]),
        // Nothing becomes executable after start.
        (libc::SYS_mmap, vec![rule(2, MaskedEq(exec), 0)?]),
        (libc::SYS_mprotect, vec![rule(2, MaskedEq(exec), 0)?]),
        // abort() signals itself; nobody else can be signalled.
        (libc::SYS_tgkill, vec![rule(0, Eq, own)?]),
        // Thread names; the allocator names its arenas.
        (libc::SYS_prctl, vec![rule(0, Eq, name)?, rule(0, Eq, set_vma)?]),
    ]))
}

/// What passes only over a socket that is connected, or says little of a descriptor.
fn over_sockets() -> Result<Rules, SeccompError> {
    let fcntl = [libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL];
    let fcntl = fcntl.map(|command| rule(1, SeccompCmpOp::Eq, command.unsigned_abs().into()));
    Ok(Rules::from([
        // Without an address of its own.
        (libc::SYS_sendto, vec![rule(4, SeccompCmpOp::Eq, 0)?]),
        (libc::SYS_fcntl, fcntl.into_iter().collect::<Result<_, _>>()?),
    ]))
}

fn rule(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, SeccompError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, op, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}
