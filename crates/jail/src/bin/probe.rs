//! Tries to break out of the jail of a process with files, for the tests: prints what the kernel answered.
//!
//! Never shipped. `tidm-jail-probe ATTEMPT FOLDER` enters a jail that leaves it to read `FOLDER/list` and to keep files in
//! `FOLDER/own`, and makes one attempt; a deadly one ends the process by SIGSYS before it prints.
#![expect(clippy::print_stdout, reason = "the printed line is the finding")]

use std::fs::{self, File, OpenOptions};
use std::io::{Error, Read as _, Result, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::process::Pid;
use tidm_jail::{Bounds, Calls, Plan, Reach, enter};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let attempt = arguments.next().unwrap_or_default();
    let folder = arguments.next().unwrap_or_default();
    let folder = Path::new(&folder);
    // What was there before the jail.
    let pair = UnixStream::pair();
    let listener = UnixListener::bind(folder.join("socket"));
    let calling = UnixStream::connect(folder.join("socket"));
    let parent = std::os::unix::process::parent_id();
    let plan = Plan {
        bounds: Bounds::default(),
        paths: vec![(folder.join("list"), Reach::Read), (folder.join("own"), Reach::Keep)],
        calls: Calls::Files,
    };
    let report = enter(&plan);
    println!("{}", serde_json::to_string(&report).unwrap_or_default());
    let told = match attempt.as_str() {
        "accept" => listener.and_then(|it| it.accept()).map(drop),
        "talk" => pair.and_then(talk),
        "parent" => File::open(format!("/proc/{parent}/environ")).map(drop),
        _ => outcome(&attempt, folder),
    };
    drop(calling);
    match told {
        Ok(()) => println!("done"),
        Err(error) => println!("refused: {error}"),
    }
}

fn talk((mut one, mut other): (UnixStream, UnixStream)) -> Result<()> {
    one.write_all(b"word")?;
    let mut word = [0; 4];
    other.read_exact(&mut word)
}

fn outcome(attempt: &str, folder: &Path) -> Result<()> {
    let (own, other) = (folder.join("own"), folder.join("other"));
    match attempt {
        "read" => fs::read(folder.join("list")).map(drop),
        "keep" => {
            fs::write(own.join("one"), b"1")?;
            OpenOptions::new().append(true).open(own.join("one"))?.write_all(b"2")?;
            fs::rename(own.join("one"), own.join("two"))?;
            File::open(&own)?.sync_all()?;
            let count = fs::read_dir(&own)?.count();
            fs::remove_file(own.join("two"))?;
            if count == 1 { Ok(()) } else { Err(Error::other("not one file")) }
        }
        "thread" => thread::spawn(|| ()).join().map_err(|_| Error::other("it died")),
        "other" => fs::read(other.join("secret")).map(drop),
        "passwd" => fs::read("/etc/passwd").map(drop),
        "root" => fs::read_dir("/").map(drop),
        "change-list" => OpenOptions::new().write(true).open(folder.join("list")).map(drop),
        "write" => fs::write(other.join("new"), b"1"),
        "remove" => fs::remove_file(other.join("secret")),
        "move-in" => fs::rename(other.join("secret"), own.join("secret")),
        "move-out" => fs::rename(own.join("kept"), other.join("kept")),
        "link" => symlink(other.join("secret"), own.join("link")),
        "hard-link" => fs::hard_link(other.join("secret"), own.join("link")),
        "through-link" => fs::read(own.join("planted")).map(drop),
        "folder" => fs::create_dir(own.join("folder")),
        "fork" => Command::new("/bin/true").status().map(drop),
        "signal" => rustix::process::test_kill_process(Pid::INIT).map_err(Error::from),
        "execute" => Err(Command::new("/bin/true").exec()),
        "unix" => UnixStream::connect(folder.join("socket")).map(drop),
        "tcp" => TcpStream::connect("127.0.0.1:9").map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "pair" => UnixStream::pair().map(drop),
        _ => Err(Error::other("no such attempt")),
    }
}
