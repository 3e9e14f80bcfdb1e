//! The worker process: read the job, enter the jail, answer once, end.
//!
//! **Architecture invariant:** the jail is on before the first byte of a table is read and before
//! a data key exists here. The process has no second job: it exits after its answer, and at once
//! when its host goes away.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::mpsc;

use getrandom::SysRng;
use object_store::path::Path;
use rand_core::UnwrapErr;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use thiserror::Error;
use tidm_crypto::domain;
use tidm_crypto::kem::{KemSecret, Wrapped};
use tidm_crypto::secret::Secret;
use tidm_crypto::tdf::join_shares;

use crate::engine::{self, Answer};
use crate::files::Files;
use crate::frame::{self, FrameError, HEADER_BYTES, Kind};
use crate::jail;
use crate::job::{Hello, Request, TableKey};
use crate::limits::{BLOCKING_THREADS, MAX_FILES, STACK_BYTES};
use crate::refusal::{Code, Refusal};
use crate::sealed::Keyring;

/// Why a worker could not even refuse.
#[derive(Debug, Error)]
enum Broken {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Os(#[from] rustix::io::Errno),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the host sent something else than expected")]
    Host,
}

/// Runs one job: descriptor 0 is a socket to the host, descriptor 1 the pipe for the answer.
///
/// Call it first thing in `main`, before any thread exists.
#[must_use]
pub fn main() -> ExitCode {
    // A panic message may contain a cell; the host learns of a panic by the missing answer.
    std::panic::set_hook(Box::new(|_| ()));
    let Ok(mut answer) = std::io::stdout().as_fd().try_clone_to_owned().map(File::from) else {
        return ExitCode::FAILURE;
    };
    match work(&mut answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            // Nothing can be done when this fails too: the host sees the end of the pipe.
            drop(send(&mut answer, Kind::Failed, &[]));
            ExitCode::FAILURE
        }
    }
}

fn work(answer: &mut File) -> Result<(), Broken> {
    let mut host = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let (request, descriptors) = receive_job(&mut host)?;
    let files = Files::new(name_files(&request, descriptors)?)?;

    let jail = jail::enter(&request.bounds);

    let secret = KemSecret::generate(&mut UnwrapErr(SysRng));
    let hello = Hello { jail, public_key: secret.public().to_bytes().to_vec() };
    send(answer, Kind::Hello, &json(&hello)?)?;

    let keys = watch(host)?;
    let sealed = request.tables.iter().any(|table| table.aad_prefix.is_some());
    let keyring = if sealed {
        let keys = keys.recv().map_err(|_| Broken::Host)?;
        unwrap(&request, &keys, &secret)
    } else {
        Ok(Keyring::default())
    };
    drop(secret);

    match keyring.and_then(|keyring| run(request, files, keyring)) {
        Ok(Answer { summary, ipc }) => {
            let prefix = frame::result_prefix(&summary)?;
            answer.write_all(&frame::header(Kind::Result, prefix.len() + ipc.len())?)?;
            answer.write_all(&prefix)?;
            answer.write_all(&ipc)?;
        }
        Err(refusal) => send(answer, Kind::Refused, &json(&refusal)?)?,
    }
    // Not `return`: detached engine threads must not delay the end.
    std::process::exit(0)
}

fn run(request: Request, files: Files, keyring: Keyring) -> Result<Answer, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(request.bounds.threads.max(1))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .map_err(failed)?;
    // On a runtime thread: the main thread's stack is not ours to size.
    let job = runtime.spawn(engine::answer(request, files, keyring));
    runtime.block_on(job).unwrap_or_else(|_| Err(Refusal::bare(Code::Failed)))
}

/// The job frame and the descriptors that came with its first bytes.
fn receive_job(host: &mut File) -> Result<(Request, Vec<OwnedFd>), Broken> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut header = [0; HEADER_BYTES];
    let received = rustix::net::recvmsg(
        &*host,
        &mut [IoSliceMut::new(&mut header)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let rest = header.get_mut(received.bytes..).ok_or(Broken::Host)?;
    host.read_exact(rest)?;
    let payload = receive(host, header, Kind::Job)?;
    let request = serde_json::from_slice(&payload).map_err(|_| FrameError::Json)?;
    Ok((request, descriptors))
}

fn receive(host: &mut File, header: [u8; HEADER_BYTES], wanted: Kind) -> Result<Vec<u8>, Broken> {
    let (kind, length) = frame::parse_header(header, 0)?;
    if kind != wanted {
        return Err(Broken::Host);
    }
    let mut payload = vec![0; length];
    host.read_exact(&mut payload)?;
    Ok(payload)
}

/// Names every descriptor `folder/number.parquet`, in table order.
fn name_files(request: &Request, descriptors: Vec<OwnedFd>) -> Result<Vec<(Path, File)>, Broken> {
    let mut descriptors = descriptors.into_iter();
    let mut named = Vec::new();
    for (number, table) in request.tables.iter().enumerate() {
        for file in 0..table.files {
            let descriptor = descriptors.next().ok_or(Broken::Host)?;
            named.push((engine::file_path(number, file), File::from(descriptor)));
        }
    }
    Ok(named)
}

/// Listens to the host for the rest of the process: keys first, then only its end.
fn watch(mut host: File) -> Result<mpsc::Receiver<Vec<TableKey>>, Broken> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
        if let Ok(keys) = receive_keys(&mut host)
            && sender.send(keys).is_ok()
        {
            // Blocks until the host closes or speaks out of turn; both end this process.
            let mut one = [0; 1];
            drop(host.read(&mut one));
        }
        std::process::exit(1)
    })?;
    Ok(receiver)
}

fn receive_keys(host: &mut File) -> Result<Vec<TableKey>, Broken> {
    let mut header = [0; HEADER_BYTES];
    host.read_exact(&mut header)?;
    let payload = receive(host, header, Kind::Keys)?;
    serde_json::from_slice(&payload).map_err(|_| FrameError::Json.into())
}

fn unwrap(request: &Request, keys: &[TableKey], secret: &KemSecret) -> Result<Keyring, Refusal> {
    let mut keyring = Keyring::default();
    for (number, table) in request.tables.iter().enumerate() {
        let Some(aad_prefix) = &table.aad_prefix else { continue };
        let refused = || Refusal::new(Code::Seal, &table.name);
        let key = keys.iter().find(|key| key.table == table.name).ok_or_else(refused)?;
        let wrapped = Wrapped::from_bytes(&key.wrapped).map_err(|_| refused())?;
        let mut data_key = secret.open(&wrapped, &key.info, &key.aad).map_err(|_| refused())?;
        if let Some(share) = &key.share {
            let share = Wrapped::from_bytes(share).map_err(|_| refused())?;
            let share = secret.open(&share, domain::SHARE_KEY.as_bytes(), &key.aad);
            data_key = joined(&data_key, &share.map_err(|_| refused())?).ok_or_else(refused)?;
        }
        keyring.insert(engine::folder(number), &data_key, aad_prefix).ok_or_else(refused)?;
    }
    Ok(keyring)
}

/// The key of its two shares; none where they are not of one length.
fn joined(one: &Secret<Vec<u8>>, other: &Secret<Vec<u8>>) -> Option<Secret<Vec<u8>>> {
    let whole = |it: &Secret<Vec<u8>>| {
        Some(Secret::<[u8; 32]>::new(it.expose().as_slice().try_into().ok()?))
    };
    let key = join_shares([&whole(one)?, &whole(other)?]);
    Some(Secret::new(key.expose().to_vec()))
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, FrameError> {
    serde_json::to_vec(value).map_err(|_| FrameError::Json)
}

fn send(answer: &mut File, kind: Kind, payload: &[u8]) -> Result<(), Broken> {
    answer.write_all(&frame::header(kind, payload.len())?)?;
    answer.write_all(payload)?;
    Ok(())
}
