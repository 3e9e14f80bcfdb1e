//! Bytes on their way in: one partial file per delivery, kept over restarts until it is whole or void.
//!
//! Threat model: the other end is a stranger's server. What it sends is bounded while it arrives, a range that is not
//! the one that was asked for is refused, its words are not read, redirects are not followed, and a token goes only to
//! the endpoint that it came with. Plain bytes of a partial file are as secret as the copy that they become, and lie
//! in the same directory.
//!
//! Never two writers of one file: whoever writes holds the delivery's [`super::runs::Run`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use tidm_crypto::hash::{Digest, Sha256Hasher, sha256};
use tidm_space::id::Id;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::Transfer;

use crate::app::App;
use crate::objects::Key;
use crate::server::watch::LOOK;
use crate::store::notes::{self, Copy};

/// Below the node's own directory. Not swept at start: what arrived before a crash need not come again.
const FOLDER: &str = "arriving";
/// Longest that one run waits because the other side said "later"; after that the job comes back by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The partial file of a delivery.
pub fn partial(app: &App, id: &Id) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = app.config.node.data.join(FOLDER);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder.join(format!("{}.part", sha256(id.as_str().as_bytes()))))
}

/// Bytes that are here.
pub async fn length(partial: &Path) -> anyhow::Result<u64> {
    match tokio::fs::metadata(partial).await {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Deletes it; a missing one is deleted already.
pub async fn forget(partial: &Path) -> anyhow::Result<()> {
    match tokio::fs::remove_file(partial).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The file, ready to be written from `offset` on; what lies behind that goes.
pub async fn open(partial: &Path, offset: u64) -> anyhow::Result<tokio::fs::File> {
    let mut file = tokio::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(partial)
        .await?;
    file.set_len(offset).await?;
    file.seek(std::io::SeekFrom::Start(offset)).await?;
    Ok(file)
}

/// What came of pulling.
pub enum Pulled {
    Whole,
    /// The token is refused: it ran out, or the delivery rests.
    Expired,
    /// The other side has no place for us now.
    Later(Duration),
    /// For good.
    Refused(String),
}

/// Appends what is missing by an HTTP range request (RFC 9110 §14); at most `most` bytes in all.
pub async fn pull(
    app: &App,
    address: &DataAddress,
    partial: &Path,
    most: u64,
) -> anyhow::Result<Pulled> {
    let Some(endpoint) = address.endpoint.as_deref() else {
        return Ok(Pulled::Refused("the data address names no endpoint".to_owned()));
    };
    let mut have = length(partial).await?;
    let mut request = app.client.request(reqwest::Method::GET, endpoint).await?;
    let token = address.property("authorization");
    if let Some(token) = token {
        request = request.bearer_auth(token.trim_start_matches("Bearer "));
    }
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let mut response = request.send().await.context("the data cannot be fetched")?;
    match response.status().as_u16() {
        // The whole, from the start.
        200 => have = 0,
        206 if begins(response.headers()) == Some(have) => {}
        206 => return Ok(Pulled::Refused("another range came than was asked for".to_owned())),
        // Nothing is missing: all of it is here already.
        416 if have > 0 => return Ok(Pulled::Whole),
        401 => return Ok(Pulled::Expired),
        // A signed address has no token: this is how a bucket says that its time is over.
        403 if token.is_none() => return Ok(Pulled::Expired),
        429 | 503 => return Ok(Pulled::Later(wait(response.headers()))),
        status @ (404 | 408 | 425 | 500..=599) => {
            anyhow::bail!("the endpoint answers {status}")
        }
        status => return Ok(Pulled::Refused(format!("the endpoint answers {status}"))),
    }
    let mut file = open(partial, have).await?;
    let done = async {
        while let Some(piece) = response.chunk().await.context("the data broke off")? {
            have = have.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if have > most {
                return Ok(Pulled::Refused(format!("more than {most} bytes came")));
            }
            file.write_all(&piece).await?;
        }
        Ok(Pulled::Whole)
    }
    .await;
    // Also what came before it broke off: the next try goes on there.
    file.flush().await?;
    file.sync_all().await?;
    done
}

/// Where the range of an answer begins.
fn begins(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); a second where it says nothing that is understood.
pub fn wait(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(1).max(1)).min(LONGEST_WAIT)
}

/// Returns when the transfer delivers no more, or anew.
pub async fn stopped(app: &App, it: &Transfer) {
    while still(app, it).await {
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the transfer still delivers as it did. A store that does not answer for a moment has stopped nothing.
pub async fn still(app: &App, it: &Transfer) -> bool {
    let now = app.store.transfer(&it.id).await;
    now.map_or(true, |now| now.is_some_and(|now| now.delivers() && now.moved == it.moved))
}

/// Bytes and digest of a file.
pub async fn digest(path: &Path) -> anyhow::Result<(u64, Digest)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut hasher = Sha256Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok((bytes, hasher.finish()));
        }
        bytes += u64::try_from(read).unwrap_or(0);
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Where a contract's copy lies: one place for each way in which it can be sealed, so that no delivery takes the place of
/// another kind's copy, which no receipt would name then. The word is the provider's, and no part of the name.
pub fn object_of(contract: &Id, sealed: &str) -> String {
    let kind = match sealed {
        "table" => "table",
        "file" => "file",
        _ => "none",
    };
    format!("copies/{}-{kind}", sha256(contract.as_str().as_bytes()))
}

/// What this transfer delivered, if all of it is here.
pub async fn kept(app: &App, it: &Transfer) -> anyhow::Result<Option<Copy>> {
    Ok(app.store.copies(&it.contract).await?.into_iter().find(|copy| copy.transfer == it.id))
}

/// The whole file becomes the contract's copy. `false`: the contract ended meanwhile, and nothing is kept.
pub async fn keep(
    app: &Arc<App>,
    it: &Transfer,
    partial: &Path,
    (bytes, content): (u64, Digest),
    sealed: &str,
) -> anyhow::Result<bool> {
    let object = object_of(&it.contract, sealed);
    let key = Key::parse(&object)?;
    app.objects.put(&key, tokio::fs::File::open(partial).await?, u64::MAX).await?;
    forget(partial).await?;
    let copy = Copy {
        contract: it.contract.clone(),
        object,
        transfer: it.id.clone(),
        bytes,
        digest: content,
        sealed: sealed.to_owned(),
    };
    app.writer
        .note(move |conn| {
            let copy = copy.clone();
            Box::pin(async move { notes::save_copy(conn, &copy).await })
        })
        .await?;
    if app.store.contract(&it.contract).await?.is_some_and(|it| !it.is_over()) {
        return Ok(true);
    }
    // The job that erases the copies of an ended contract may have run before this one was there.
    app.objects.delete(&key).await?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: reqwest::header::HeaderName, value: &str) -> HeaderMap {
        let mut all = HeaderMap::new();
        all.insert(name, value.parse().unwrap());
        all
    }

    /// Whatever a provider says of the seal, the name is one of three.
    #[test]
    fn a_copy_has_a_place_of_its_kind() {
        let contract = Id::parse("urn:agreement:1").unwrap();
        let places =
            ["table", "file", "none", "", "../x", "TABLE"].map(|it| object_of(&contract, it));
        assert!(places.iter().all(|it| Key::parse(it).is_ok()), "{places:?}");
        assert_ne!(places[0], places[1]);
        assert_ne!(places[1], places[2]);
        assert!(places[3..].iter().all(|it| *it == places[2]), "{places:?}");
    }

    #[test]
    fn ranges_of_answers() {
        for (text, begin) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-0/*", Some(0)),
            ("bytes */10", None),
            ("bytes -5/10", None),
            ("lines 5-9/10", None),
            ("bytes 99999999999999999999-1/2", None),
            ("", None),
        ] {
            assert_eq!(begins(&headers(CONTENT_RANGE, text)), begin, "{text:?}");
        }
        assert_eq!(begins(&HeaderMap::new()), None);
    }

    #[test]
    fn waits_are_bounded() {
        for (text, seconds) in [
            ("3", 3),
            ("0", 1),
            ("99999", 60),
            ("-1", 1),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
            ("99999999999999999999999", 1),
        ] {
            assert_eq!(wait(&headers(RETRY_AFTER, text)), Duration::from_secs(seconds), "{text:?}");
        }
    }
}
