//! From a system in the list to its image in a folder.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode};

use super::catalogue::{Origin, System};
use super::checksum::{self, Checksum, Sum};
use super::client::{Address, Client, Patience, reading};
use super::error::DownloadError;
use super::part::{Note, Part};
use super::signature::{self, MAX_SIGNATURE, SignatureError};
use crate::block::create::free_space;
use crate::units::Bytes;

/// Larger images are refused: the disk of whoever asks for one must not be filled by a server's whim.
const MAX_IMAGE: Bytes = Bytes::gib(32);
/// The longest list of checksums that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;
/// How often progress is told.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How much is read and written at once.
const CHUNK: usize = 256 << 10;

/// What one download is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) image: Bytes,
    pub(super) patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self { image: MAX_IMAGE, patience: Patience::default() }
    }
}

/// Downloads `system` into `folder`, and answers with the image's file. What an earlier attempt has
/// brought there is gone on with; an image that is there already, and is the right one, is not
/// downloaded again.
///
/// `progress` is told some ten times a second, on a thread of its own, how much of how much is there,
/// 0 of 0 as long as that is unknown. It answers whether to go on; if not, this returns at once, or as
/// soon as a server can be reached, 20 seconds at most.
///
/// # Errors
/// See [`DownloadError`]. There is no file then but the beginning of one, for the next attempt.
pub fn fetch(
    system: &System,
    folder: &Path,
    progress: &(dyn Fn(Bytes, Bytes) -> bool + Sync),
) -> Result<PathBuf, DownloadError> {
    fetch_within(Limits::default(), system, folder, progress)
}

pub(super) fn fetch_within(
    limits: Limits,
    system: &System,
    folder: &Path,
    progress: &(dyn Fn(Bytes, Bytes) -> bool + Sync),
) -> Result<PathBuf, DownloadError> {
    let origin = system.origin()?;
    let address = match &origin {
        Origin::List(address, _) | Origin::Known(address, ..) => address,
    };
    let client = Client::new(address, limits.patience);
    let tally = Tally::default();
    let (ended, end) = mpsc::channel::<()>();
    let watch = {
        let (client, tally) = (&client, &tally);
        move || {
            // Until the download is over, and its sender gone.
            while end.recv_timeout(REPORT_EVERY) == Err(RecvTimeoutError::Timeout) {
                if !tally.is_cancelled() && !progress(tally.done(), tally.total()) {
                    tally.cancelled.store(true, Relaxed);
                    client.interrupt();
                }
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(watch);
        let download = Download { limits, system, folder, client: &client, tally: &tally };
        let result = download.run(origin);
        drop(ended);
        // Whatever it stumbled over then.
        result.map_err(|error| if tally.is_cancelled() { DownloadError::Cancelled } else { error })
    })
}

/// How far it is, for both threads.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Tally {
    fn done(&self) -> Bytes {
        Bytes(self.done.load(Relaxed))
    }

    fn total(&self) -> Bytes {
        Bytes(self.total.load(Relaxed))
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
}

/// An image, as its publisher describes it.
struct Image {
    address: Address,
    name: String,
    checksum: Checksum,
}

/// How an answer goes on with what is there.
struct Coming {
    /// Where it begins.
    from: u64,
    /// The whole length, if the server says it.
    length: Option<u64>,
}

struct Download<'a> {
    limits: Limits,
    system: &'a System,
    folder: &'a Path,
    client: &'a Client,
    tally: &'a Tally,
}

impl Download<'_> {
    fn run(&self, origin: Origin<'_>) -> Result<PathBuf, DownloadError> {
        let image = self.find(origin)?;
        let mut part = Part::open(self.folder, &image.name)?;
        let destination = self.folder.join(&image.name);
        if self.is_there(&destination, &image.checksum)? {
            part.discard();
            return Ok(destination);
        }
        let sum = self.receive(&image, &mut part)?;
        if sum != image.checksum {
            part.discard();
            return Err(DownloadError::Checksum(image.name));
        }
        part.finish(&destination)?;
        Ok(destination)
    }

    /// Asks the publisher which image it is.
    fn find(&self, origin: Origin<'_>) -> Result<Image, DownloadError> {
        match origin {
            Origin::Known(address, name, checksum) => {
                Ok(Image { address, name: name.to_owned(), checksum: checksum.clone() })
            }
            Origin::List(address, pattern) => {
                let list = self.list(&address)?;
                let (name, checksum) = checksum::find(&list, pattern).ok_or_else(|| {
                    DownloadError::NotListed { address: address.text(), image: pattern.to_owned() }
                })?;
                Ok(Image { address: address.beside(&name)?, name, checksum })
            }
        }
    }

    /// The list of checksums, of which nothing is left that its publisher should have signed and has not.
    fn list(&self, address: &Address) -> Result<String, DownloadError> {
        let mut list = self.client.read(address, MAX_LIST)?;
        if let Some(key) = &self.system.key {
            let signature = self.signature()?;
            let signed = signature::verify(&list, signature.as_deref(), key.certificate());
            list = signed.map_err(|reason| self.unsigned(reason))?;
        }
        Ok(String::from_utf8_lossy(&list).into_owned())
    }

    /// The signature of the list of checksums, if it is not inside.
    fn signature(&self) -> Result<Option<Vec<u8>>, DownloadError> {
        let Some(address) = &self.system.signature else { return Ok(None) };
        match self.client.read(&Address::parse(address)?, MAX_SIGNATURE) {
            // So it would be if somebody had taken it away.
            Err(DownloadError::Status { status: 404, .. }) => {
                Err(self.unsigned(SignatureError::Missing))
            }
            signature => signature.map(Some),
        }
    }

    fn unsigned(&self, reason: SignatureError) -> DownloadError {
        DownloadError::Unsigned { system: self.system.name.clone(), source: reason }
    }

    /// Whether `file` is the image already.
    fn is_there(&self, file: &Path, checksum: &Checksum) -> Result<bool, DownloadError> {
        if !file.is_file() {
            return Ok(false);
        }
        let mut open = File::open(file).map_err(DownloadError::file(file))?;
        Ok(self.sum(&mut open, checksum, file)?.finish() == *checksum)
    }

    /// Takes in all of `file`.
    fn sum(&self, file: &mut File, like: &Checksum, path: &Path) -> Result<Sum, DownloadError> {
        let mut sum = Sum::like(like);
        let whole = sum.read(file, || !self.tally.is_cancelled());
        match whole.map_err(DownloadError::file(path))? {
            true => Ok(sum),
            false => Err(DownloadError::Cancelled),
        }
    }

    /// Fills `part`, and answers with the checksum of what it holds then.
    fn receive(&self, image: &Image, part: &mut Part) -> Result<Checksum, DownloadError> {
        let begun = part.note().filter(|(note, _)| {
            note.address == image.address.text() && note.checksum == image.checksum
        });
        let mut sum = Sum::like(&image.checksum);
        let mut resume = None;
        if let Some((Note { validator: Some(validator), length, .. }, have)) = begun {
            sum = self.sum(part.file(), &image.checksum, self.folder)?;
            self.tally.done.store(have, Relaxed);
            if length == Some(have) {
                // It was interrupted between the last byte and the check.
                return Ok(sum.finish());
            }
            resume = Some((have, validator));
        }
        let asked = resume.as_ref().map(|(have, validator)| (*have, validator.as_str()));
        let mut response = self.client.get(&image.address, asked)?;
        let mut answer = coming(response.status(), response.headers(), asked);
        if answer.is_err() && asked.is_some() {
            // The rest cannot be had any more; the whole perhaps can.
            response = self.client.get(&image.address, None)?;
            answer = coming(response.status(), response.headers(), None);
        }
        let coming = answer.map_err(|status| DownloadError::Status {
            address: image.address.text(),
            status: status.as_u16(),
        })?;
        if coming.from == 0 {
            part.restart()?;
            sum = Sum::like(&image.checksum);
        }
        self.check_space(image, &coming)?;
        self.tally.done.store(coming.from, Relaxed);
        self.tally.total.store(coming.length.unwrap_or_default(), Relaxed);
        part.write_note(&Note {
            system: self.system.name.clone(),
            address: image.address.text(),
            validator: validator(response.headers()),
            length: coming.length,
            checksum: image.checksum.clone(),
        })?;
        self.copy(image, &coming, &mut response.body_mut().as_reader(), part, &mut sum)?;
        Ok(sum.finish())
    }

    /// Whether what is to come fits, as far as the server says how much that is.
    fn check_space(&self, image: &Image, coming: &Coming) -> Result<(), DownloadError> {
        let length = coming.length.unwrap_or_default();
        if length > self.limits.image.0 {
            return Err(self.too_large(image));
        }
        let needed = length.saturating_sub(coming.from);
        let free = free_space(self.folder).map_err(DownloadError::file(self.folder))?;
        if needed > free.0 {
            let mib = Bytes::mib(1).0;
            return Err(DownloadError::NoSpace {
                folder: self.folder.to_path_buf(),
                needed: Bytes(needed.div_ceil(mib).saturating_mul(mib)),
                free: Bytes(free.0 / mib * mib),
            });
        }
        Ok(())
    }

    fn too_large(&self, image: &Image) -> DownloadError {
        DownloadError::TooLarge { address: image.address.text(), limit: self.limits.image }
    }

    fn copy(
        &self,
        image: &Image,
        coming: &Coming,
        body: &mut impl Read,
        part: &mut Part,
        sum: &mut Sum,
    ) -> Result<(), DownloadError> {
        let mut chunk = vec![0; CHUNK];
        let mut done = coming.from;
        while !self.tally.is_cancelled() {
            let length = match body.read(&mut chunk) {
                Ok(0) if coming.length.is_some_and(|whole| done < whole) => {
                    return Err(reading(&image.address, io::Error::from(ErrorKind::UnexpectedEof)));
                }
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading(&image.address, error)),
            };
            done += length as u64;
            if done > coming.length.unwrap_or(self.limits.image.0) {
                return Err(self.too_large(image));
            }
            part.write(&chunk[..length])?;
            sum.update(&chunk[..length]);
            self.tally.done.store(done, Relaxed);
        }
        Err(DownloadError::Cancelled)
    }
}

/// What comes with an answer to the question for the whole, or for the rest of it; or the status of
/// one that brings nothing.
fn coming(
    status: StatusCode,
    headers: &HeaderMap,
    asked: Option<(u64, &str)>,
) -> Result<Coming, StatusCode> {
    match (status, asked) {
        (StatusCode::OK, _) => Ok(Coming { from: 0, length: content_length(headers) }),
        (StatusCode::PARTIAL_CONTENT, Some((have, _))) => {
            let (from, length) = content_range(headers).unwrap_or_default();
            if from == have { Ok(Coming { from, length }) } else { Err(status) }
        }
        _ => Err(status),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get("Content-Length")?.to_str().ok()?.trim().parse().ok()
}

/// Where a part begins, and how long the whole is (RFC 9110 §14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get("Content-Range")?.to_str().ok()?.trim().strip_prefix("bytes ")?;
    let (range, whole) = range.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()))
}

/// By what the server knows the file again: a strong entity tag, or else its date (RFC 9110 §13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let header = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    header("ETag").filter(|tag| tag.starts_with('"')).or_else(|| header("Last-Modified"))
}
