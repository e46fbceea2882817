//! Placement, medians and the printing of rows.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

/// Where the two processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    CoreEach,
    OneCore,
    /// Wherever the system puts them.
    Free,
}

impl Placement {
    pub(crate) fn servers(self) -> Option<usize> {
        match self {
            Self::CoreEach => Some(1),
            Self::OneCore => Some(0),
            Self::Free => None,
        }
    }

    /// Puts this process where the client runs.
    pub(crate) fn take_place(self) {
        if self == Self::Free {
            let mut cores = CpuSet::new();
            for core in 0..CpuSet::count() {
                let _ = cores.set(core);
            }
            let _ = sched_setaffinity(Pid::from_raw(0), &cores);
        } else {
            pin(0);
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CoreEach => "a core each",
            Self::OneCore => "one core",
            Self::Free => "anywhere",
        })
    }
}

/// Runs this thread, and those it starts, on one core; a machine that has not got it has one placement.
pub(crate) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    if cores.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &cores);
    }
}

/// The processor time of this process, in nanoseconds.
pub(crate) fn cpu() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let time = usage.user_time() + usage.system_time();
    time.num_microseconds().unsigned_abs() * 1000
}

/// How long something takes.
pub(crate) fn time(act: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed())
}

/// The median of single exchanges, each timed by itself.
pub(crate) fn median_of(
    count: usize,
    mut act: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut times = (0..count).map(|_| time(&mut act)).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Takes turns between the two sides of a row, and prints the medians. A side returns the time of one exchange.
pub(crate) fn compare(
    name: &str,
    placement: Placement,
    rounds: usize,
    mut floor: impl FnMut() -> Result<Duration, Box<dyn Error>>,
    mut ours: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (mut floors, mut times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms both.
    for round in 0..=rounds {
        let (floor, time) = (floor()?.as_secs_f64(), ours()?.as_secs_f64());
        if round > 0 {
            floors.push(floor);
            times.push(time);
            ratios.push(time / floor);
        }
    }
    let (floor, time, ratio) = (median(floors), median(times), median(ratios));
    println!("{name:<34} {placement:<11} {:>14} {:>14} {ratio:>8.2}", show(floor), show(time));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn show(seconds: f64) -> String {
    let nanoseconds = seconds * 1e9;
    match nanoseconds {
        _ if nanoseconds < 1e4 => format!("{nanoseconds:.0} ns"),
        _ if nanoseconds < 1e6 => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
