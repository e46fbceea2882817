//! Pictures decoded by a pool of processes that may do nothing but compute and talk: one that kills its process costs one error.
//!
//!     cargo run --example sandboxed_decoder -- [PICTURE]...
//!
//! Prints the size and the average colour of each: of some that it makes where none is named, of which one is hostile.

use std::error::Error;
use std::io::{Cursor, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, io};

use image::{ImageFormat, ImageReader, RgbImage};
use landlock::{
    ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetError, Scope,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use serde::{Deserialize, Serialize};
use unix_ipc::sandbox::{self, SystemCall};
use unix_ipc::{
    Connection, Pool, PoolOptions, Rlimit, SharedMemory, SharedMemoryMut, SpawnOptions, ipc_service,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Pixels {
    width: usize,
    height: usize,
    /// Red, green and blue, row by row, from the beginning of the memory on.
    memory: SharedMemory,
}

#[ipc_service]
pub(crate) trait Decoder {
    /// Decodes a PNG or a JPEG into memory that the caller lends.
    fn decode(&self, picture: &[u8], memory: SharedMemoryMut) -> Result<Pixels, String>;
}

pub(crate) struct Careless;

impl Decoder for Careless {
    fn decode(&self, picture: &[u8], mut memory: SharedMemoryMut) -> Result<Pixels, String> {
        let decoded = ImageReader::new(Cursor::new(picture)).with_guessed_format().map(|mut reader| {
            reader.no_limits(); // the process has some
            reader.decode()
        });
        let image =
            decoded.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?.into_rgb8();
        let [width, height] = [image.width(), image.height()].map(|pixels| pixels as usize);
        let memory = memory.write_all(&image).and_then(|()| memory.freeze());
        Ok(Pixels { width, height, memory: memory.map_err(|error| error.to_string())? })
    }
}

impl Pixels {
    /// `None` where there are fewer pixels than the decoder says, which is not trusted.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.memory.get(..self.width.checked_mul(self.height)?.checked_mul(3)?)
    }

    fn describe(&self) -> Option<String> {
        let pixels = self.bytes()?.chunks_exact(3);
        let mean =
            |i: usize| pixels.clone().map(|pixel| usize::from(pixel[i])).sum::<usize>() / pixels.len().max(1);
        Some(format!("{} x {}, #{:02x}{:02x}{:02x}", self.width, self.height, mean(0), mean(1), mean(2)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(DecoderServer::new(Careless).pre_serve(lock_in).serve(connection)?);
    }

    let named = env::args().skip(1).map(|path| fs::read(&path).map(|picture| (path, picture)));
    let mut pictures = named.collect::<Result<Vec<_>, _>>()?;
    if pictures.is_empty() {
        pictures = made_here()?;
    }
    let program = env::current_exe()?;
    let quiet = move || {
        let mut command = Command::new(&program);
        command.stderr(Stdio::null()); // its last words: the error says how it ended
        command
    };
    let pool: Pool<DecoderClient> = Pool::new(quiet, &decoders());
    for (name, picture) in pictures {
        match pool.worker()?.decode(&picture, SharedMemoryMut::new(MOST_BYTES)?) {
            Ok(pixels) => println!("{name}: {}", pixels.describe().ok_or("the decoder lies")?),
            Err(error) => println!("{name}: {error}"),
        }
    }
    Ok(())
}

/// What is lent for the pixels of a picture. Only what is written takes memory.
pub(crate) const MOST_BYTES: usize = 48 << 20;

/// As many threads as there are decoders never share one: there is no pause before the next start, in which two pictures
/// would be in the decoder that is left. No picture is tried twice, because `decode` is not `#[idempotent]`.
pub(crate) fn decoders() -> PoolOptions {
    PoolOptions::new().workers(2).backoff(Duration::ZERO, Duration::ZERO).spawn(confined())
}

/// What the parent keeps from a decoder.
pub(crate) fn confined() -> SpawnOptions {
    let options = SpawnOptions::new().empty_environment(true).close_descriptors(true);
    options.rlimit(Rlimit::AddressSpace, 512 << 20).rlimit(Rlimit::CpuTime, 60)
}

/// What a decoder gives up itself, when it is connected.
pub(crate) fn lock_in() -> io::Result<()> {
    use sandbox::{ABORTING, ENDING, MEMORY, PANICS, REFUSABLE, SERVING, SHARED_MEMORY};

    forbid_paths().map_err(io::Error::other)?;
    let allowed = [SERVING, MEMORY, SHARED_MEMORY, PANICS, ABORTING, ENDING, REFUSABLE].concat();
    // Of two filters the stricter answer counts, and the second has to be set under the first.
    filter(REFUSABLE, SeccompAction::Allow, SeccompAction::Errno(1))?; // EPERM
    filter(&allowed, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Forbids every path and port, because there is no rule that allows one, where this kernel has Landlock.
pub(crate) fn forbid_paths() -> Result<RestrictionStatus, RulesetError> {
    let abi = ABI::V6;
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(abi))?;
    ruleset.handle_access(AccessNet::from_all(abi))?.scope(Scope::from_all(abi))?.create()?.restrict_self()
}

fn filter(calls: &[SystemCall], others: SeccompAction, these: SeccompAction) -> io::Result<()> {
    let rules = calls.iter().map(|call| (call.number(), Vec::new())).collect();
    let arch = TargetArch::try_from(env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, others, these, arch).map_err(io::Error::other)?;
    apply_filter(&BpfProgram::try_from(filter).map_err(io::Error::other)?).map_err(io::Error::other)
}

/// A name, and what is in the file.
pub(crate) type Picture = (String, Vec<u8>);

/// A PNG, one that claims 60000 by 60000 pixels in 57 bytes, and a JPEG.
pub(crate) fn made_here() -> Result<Vec<Picture>, Box<dyn Error>> {
    let image = RgbImage::from_fn(64, 48, |x, _| [200, 4 * x as u8, 30].into());
    let (mut png, mut jpeg) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
    image.write_to(&mut png, ImageFormat::Png)?;
    image.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    let hostile = *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0\x80\xd2\x75\x42\0\0\0\0IDAT\x35\xaf\x06\x1e";
    let made = [("a.png", png.into_inner()), ("hostile.png", hostile.into()), ("b.jpg", jpeg.into_inner())];
    Ok(made.map(|(name, picture)| (name.to_owned(), picture)).into())
}
