//! `kill -9` of either side, at every kind of moment: everybody who waits has an error within the bound, nothing is left of
//! the dead, and the next call works.

mod clients;
mod servers;
mod service;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::settings::{self, BOUND};
use crate::util::{self, Holdings, Watchdog};
use clients::House;

/// What goes on when a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// Before the introduction, or in the middle of it.
    Introduction,
    /// Messages of many packets are on their way, in both directions.
    LongMessages,
    /// A call has begun, and has no reply yet.
    Call,
    /// Messages with descriptors are on their way, in both directions.
    Descriptors,
    /// Values stream through a channel that came with a call.
    Stream,
    /// Who sends waits for room.
    Full,
    /// Who waits does not sleep: the processes call each other's cores awake.
    Spinning,
    /// Who waits sleeps.
    Sleeping,
    /// The process has a child of its own, which is busy.
    Spawner,
}

impl Moment {
    pub(crate) const ALL: [Self; 9] = [
        Self::Introduction,
        Self::LongMessages,
        Self::Call,
        Self::Descriptors,
        Self::Stream,
        Self::Full,
        Self::Spinning,
        Self::Sleeping,
        Self::Spawner,
    ];

    /// As a process is told.
    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|moment| moment.name() == name)
    }
}

/// How long it took until everybody who waited knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) from_kill: Duration,
    /// From the moment at which the kernel had ended the process, as another thread that waits for it sees.
    pub(crate) from_end: Duration,
}

impl Waits {
    pub(crate) fn until(last: Instant, killed: Instant, ended: Instant) -> Self {
        let from_kill = last.saturating_duration_since(killed);
        Self { from_kill, from_end: last.saturating_duration_since(ended) }
    }
}

/// What is printed of one kind of kill.
#[derive(Default)]
struct Row {
    kills: usize,
    longest: Waits,
    all: Vec<Duration>,
}

impl Row {
    fn add(&mut self, waits: Waits) {
        self.kills += 1;
        self.longest.from_kill = self.longest.from_kill.max(waits.from_kill);
        self.longest.from_end = self.longest.from_end.max(waits.from_end);
        self.all.push(waits.from_kill);
    }

    fn median(&mut self) -> Duration {
        self.all.sort_unstable();
        self.all.get(self.all.len() / 2).copied().unwrap_or_default()
    }
}

fn print(seed: u64, rows: BTreeMap<(Moment, &str), Row>) {
    let kills: usize = rows.values().map(|row| row.kills).sum();
    eprintln!("{kills} kills, seed {seed}; the longest waits for the error, or for the next call:");
    let mut longest = Duration::ZERO;
    for ((moment, side), mut row) in rows {
        let median = row.median();
        let (moment, kills, Waits { from_kill, from_end }) = (moment.name(), row.kills, row.longest);
        eprintln!(
            "  {side:6} {moment:12} {kills:5} kills: {from_kill:9.1?} from the kill (median {median:9.1?}), \
             {from_end:9.1?} from the end of the process"
        );
        longest = longest.max(from_kill);
    }
    eprintln!("  longest of all: {longest:.1?}");
}

#[test]
fn kills_at_every_kind_of_moment_hang_and_leak_nothing() {
    if service::is_victim() || !settings::alone() {
        return;
    }
    let kills = settings::number("SOAK_KILLS", 36);
    let seed = settings::seed();
    eprintln!("seed {seed}");
    let _watchdog = Watchdog::after(BOUND + Duration::from_secs(kills));
    let (before, threads) = (Holdings::with_mappings(), util::threads());
    let mut rng = Rng::with_seed(seed);
    let mut rows = BTreeMap::<_, Row>::new();
    let house = House::open();
    for (moment, number) in Moment::ALL.into_iter().cycle().zip(0..kills) {
        // Each side has its turn with each moment; a server has no moment as a spawner.
        let is_client = moment == Moment::Spawner || (number / Moment::ALL.len() as u64) % 2 == 1;
        let (side, waits) = if is_client {
            ("client", clients::kill(&house, moment, &mut rng))
        } else {
            ("server", servers::kill(moment, &mut rng))
        };
        house.assert_restored();
        assert!(waits.from_end < BOUND, "seed {seed}: {side} {moment:?}: {waits:?}");
        rows.entry((moment, side)).or_default().add(waits);
    }
    house.close();
    before.assert_restored();
    assert!(util::wait_until(BOUND, || util::threads() == threads), "{} threads", util::threads());
    print(seed, rows);
}
