//! Memory for lanes.
//!
//! A process makes it when it needs it, and sends it as a file. A spawned child may be locked in by then, so it makes none: the
//! spawner gives it some at birth, which both map, and of which no descriptor stays. Lanes of the child's to its spawner are
//! there, and what it sends to others goes over the socket.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::raw_channel::outlet::MOST_BYTES;
use crate::raw_channel::random;
use crate::ring::{self, LEAST_BYTES, Offer};
use crate::sync::lock;
use crate::sys::pages::Pages;

/// How the memory is called among what a process has mapped.
const LANES: &CStr = c"unix-ipc-lanes";

/// How many lanes a child may have to its spawner at a time.
const AREAS: usize = 2;

/// The bytes for records of each: small, because every child has them.
const AREA_BYTES: usize = 32 << 10;

/// What stands in an offer where the memory is a file.
pub(super) const NO_NAME: u64 = 0;

/// Memory for a lane, and where that is for the receiver.
pub(super) struct Memory {
    pub(super) pages: Arc<Pages>,
    pub(super) start: usize,
    pub(super) bytes: usize,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    File(OwnedFd),
    Area(Lease),
    /// Memory of its own, of which the receiver has the file.
    Own,
}

/// Memory that a spawner and its child have in common.
#[derive(Debug)]
pub(crate) struct Commons {
    /// Neither 0 nor that of any other.
    name: u64,
    pages: Arc<Pages>,
    /// What the child does with each area.
    areas: [AtomicU64; AREAS],
}

/// No lane was ever there, or none is any more.
const FREE: u64 = 0;
/// The child's sender has it.
const TAKEN: u64 = 1;
/// The sender is gone. The receiver may still read, or may still find the offer.
const LEFT: u64 = 2;

/// An area, for as long as its lane has a sender.
#[derive(Debug)]
pub(super) struct Lease {
    commons: Arc<Commons>,
    area: usize,
    is_offered: bool,
}

/// Those of this process and its children.
static OF_CHILDREN: Mutex<Vec<Weak<Commons>>> = Mutex::new(Vec::new());

/// What this process, which was spawned, has in common with its spawner.
static OF_SPAWNER: OnceLock<Option<Arc<Commons>>> = OnceLock::new();

/// Makes what a child will have in common with this process, for as long as the result lives: it, and its file and name for the
/// child.
pub(crate) fn make() -> io::Result<(Arc<Commons>, OwnedFd)> {
    let (pages, file) = Pages::create(LANES, commons_bytes(), &[(0, commons_bytes())])?;
    let name = random().max(NO_NAME + 1);
    let commons = Arc::new(Commons::new(name, pages));
    let mut all = lock(&OF_CHILDREN);
    all.retain(|commons| commons.strong_count() > 0);
    all.push(Arc::downgrade(&commons));
    Ok((commons, file))
}

/// Takes what the spawner made, or nothing: this process makes no memory for lanes in either case.
pub(crate) fn inherit(made: Option<(u64, OwnedFd)>) {
    let commons = made.and_then(|(name, file)| {
        Some(Arc::new(Commons::new(name, Pages::open(file.as_fd(), commons_bytes()).ok()?)))
    });
    let _ = OF_SPAWNER.set(commons);
}

/// Memory for a lane: `None` where there is none to be had.
pub(super) fn memory(bytes: usize) -> Option<Memory> {
    match OF_SPAWNER.get() {
        Some(commons) => lease(commons.as_ref()?),
        None => new_file(bytes),
    }
}

fn new_file(bytes: usize) -> Option<Memory> {
    let bytes = bytes.next_power_of_two().clamp(LEAST_BYTES, MOST_BYTES);
    let (pages, file) =
        Pages::create(LANES, ring::lone_bytes(bytes), &[(0, ring::lone_bytes(bytes))]).ok()?;
    Some(Memory { pages: Arc::new(pages), start: 0, bytes, place: Place::File(file) })
}

fn lease(commons: &Arc<Commons>) -> Option<Memory> {
    if !commons.pages.is_here() {
        return None;
    }
    let area = (0..AREAS).find(|area| commons.take(*area))?;
    let place = Place::Area(Lease { commons: Arc::clone(commons), area, is_offered: false });
    Some(Memory { pages: Arc::clone(&commons.pages), start: start(area), bytes: AREA_BYTES, place })
}

/// The memory of an area that a child of this process, or this process itself, says it has: `None` where it has none.
pub(super) fn find(name: u64, area: u64, bytes: usize) -> Option<(Arc<Pages>, usize)> {
    let area = usize::try_from(area).ok().filter(|area| *area < AREAS && bytes == AREA_BYTES)?;
    let of_children: Vec<_> = lock(&OF_CHILDREN).iter().filter_map(Weak::upgrade).collect();
    let of_spawner = OF_SPAWNER.get().cloned().flatten();
    let commons = of_children
        .into_iter()
        .chain(of_spawner)
        .find(|commons| commons.name == name && commons.pages.is_here())?;
    Some((Arc::clone(&commons.pages), start(area)))
}

const fn start(area: usize) -> usize {
    area * ring::lone_bytes(AREA_BYTES)
}

const fn commons_bytes() -> usize {
    start(AREAS)
}

impl Commons {
    fn new(name: u64, pages: Pages) -> Self {
        Self { name, pages: Arc::new(pages), areas: [const { AtomicU64::new(FREE) }; AREAS] }
    }

    pub(crate) fn name(&self) -> u64 {
        self.name
    }

    /// Takes an area if nobody looks at it: one that a sender has left when the receiver says that it is done, or has said
    /// nothing up to now.
    fn take(&self, area: usize) -> bool {
        let Some(state) = self.areas.get(area) else { return false };
        let takes = |from| state.compare_exchange(from, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let is_over = || Offer::is_over(&self.pages, start(area));
        takes(FREE) || (state.load(Ordering::Acquire) == LEFT && is_over() && takes(LEFT))
    }
}

impl Place {
    pub(super) fn name(&self) -> u64 {
        if let Self::Area(lease) = self { lease.commons.name } else { NO_NAME }
    }

    pub(super) fn index(&self) -> u64 {
        if let Self::Area(lease) = self { lease.area as u64 } else { 0 }
    }

    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        if let Self::File(file) = self { Some(file.as_fd()) } else { None }
    }

    /// The same, once the receiver may find it.
    pub(super) fn offered(self) -> Self {
        match self {
            Self::File(_) | Self::Own => Self::Own,
            Self::Area(mut lease) => {
                lease.is_offered = true;
                Self::Area(lease)
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(state) = self.commons.areas.get(self.area) {
            state.store(if self.is_offered { LEFT } else { FREE }, Ordering::Release);
        }
    }
}
