//! Tries to break out of the jail, for the tests: prints what the kernel answered.
//!
//! Never shipped. `tidm-sandbox-probe ATTEMPT` enters the jail as a worker does and makes one
//! attempt; a deadly one ends the process by SIGSYS before it prints.
#![expect(clippy::print_stdout, reason = "the printed line is the finding")]

use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use rustix::process::Pid;
use tidm_sandbox::jail;
use tidm_sandbox::job::Bounds;

fn main() {
    let attempt = std::env::args().nth(1).unwrap_or_default();
    let bounds = Bounds {
        memory_bytes: 64 * 1024 * 1024,
        threads: 1,
        cpu_seconds: 10,
        files: 16,
        max_rows: 1,
        max_bytes: 1,
    };
    let report = jail::enter(&bounds);
    println!("{}", serde_json::to_string(&report).unwrap_or_default());
    println!("{}", outcome(&attempt));
}

fn outcome(attempt: &str) -> String {
    match attempt {
        "nothing" => "still here".to_owned(),
        "thread" => thread::spawn(|| "thread ran".to_owned())
            .join()
            .unwrap_or_else(|_| "thread died".to_owned()),
        "open" => told(File::open("/etc/passwd").map(drop)),
        "create" => told(File::create("/tmp/tidm-probe").map(drop)),
        "list" => told(std::fs::read_dir("/").map(drop)),
        "stat" => told(std::fs::metadata("/etc/passwd").map(drop)),
        "tcp" => told(TcpStream::connect("127.0.0.1:9").map(drop)),
        "udp" => told(UdpSocket::bind("127.0.0.1:0").map(drop)),
        "execute" => told(Err(Command::new("/bin/true").exec())),
        "fork" => told(Command::new("/bin/true").status().map(drop)),
        "signal" => {
            told(rustix::process::test_kill_process(Pid::INIT).map_err(std::io::Error::from))
        }
        "core" => std::process::abort(),
        "memory-file" => told(File::open("/proc/1/mem").map(drop)),
        "trace" => trace(),
        "peek" => peek(),
        "memory" => {
            let mut hog: Vec<Vec<u8>> = Vec::new();
            loop {
                hog.push(vec![1; 16 * 1024 * 1024]);
                if hog.len() > 1024 {
                    return "16 GiB taken".to_owned();
                }
            }
        }
        _ => "no such attempt".to_owned(),
    }
}

#[expect(unsafe_code, reason = "an attack on another process has no safe form")]
fn trace() -> String {
    // SAFETY: attaching touches no memory of ours; both pointers are ignored by the kernel.
    let done = unsafe { libc::ptrace(libc::PTRACE_ATTACH, 1, 0, 0) };
    told(if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) })
}

#[expect(unsafe_code, reason = "an attack on another process has no safe form")]
fn peek() -> String {
    let mut seen = [0_u8; 16];
    let ours = libc::iovec { iov_base: seen.as_mut_ptr().cast(), iov_len: seen.len() };
    let theirs =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(0x1000), iov_len: seen.len() };
    // SAFETY: the kernel writes at most 16 bytes into `seen`, which outlives the call; the other address is not ours.
    let read = unsafe { libc::process_vm_readv(1, &raw const ours, 1, &raw const theirs, 1, 0) };
    told(if read >= 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) })
}

fn told(result: std::io::Result<()>) -> String {
    match result {
        Ok(()) => "BROKE OUT".to_owned(),
        Err(error) => format!("refused: {error}"),
    }
}
