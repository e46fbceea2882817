//! The rows, each an exchange beside its floor.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::{Limits, Pending};

use crate::floor::{LINES, Line, Packets, Stream, copy_through_region};
use crate::measure::{Placement, compare, cpu, median_of, time};
use crate::service::{BenchClient, command, receive_stream, spawn, spawn_with, sum};

type Row = fn() -> Result<(), Box<dyn Error>>;

pub(crate) const ALL: &[(&str, Row)] = &[
    ("unary hot, cache line", unary_against_line),
    ("unary hot, SEQPACKET", unary_against_packets),
    ("unary without rings, SEQPACKET", unary_over_socket),
    ("unary after 10 ms of quiet", unary_after_quiet),
    ("unary one core", unary_on_one_core),
    ("64 in flight", in_flight),
    ("one-way", one_way),
    ("threads", threads),
    ("workers", workers),
    ("stream", stream),
    ("bytes in", bytes_in),
    ("bytes out", bytes_out),
    ("handle", handle),
    ("spawn", spawn_to_first_answer),
    ("processor time", processor_time),
    ("idle", idle),
];

/// How often an exchange of this kind is made in a round.
const CALLS: u32 = 2000;

fn each(total: Duration, count: u32) -> Duration {
    total / count
}

fn add(client: &BenchClient) -> Result<(), Box<dyn Error>> {
    black_box(client.add(black_box(1), 2)?);
    Ok(())
}

fn adds(client: &BenchClient, count: u32) -> Result<Duration, Box<dyn Error>> {
    Ok(each(time(|| (0..count).try_for_each(|_| add(client)))?, count))
}

fn unary_against_line() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let (client, mut floor) = (spawn(placement)?, None);
    compare(
        "add, hot / cache line each way",
        placement,
        101,
        || {
            // Another process that looks without end would keep the child from its core.
            let line = floor.insert(Line::start(placement)?);
            (0..CALLS).for_each(|_| line.ping());
            let time = time(|| {
                (0..CALLS).for_each(|_| line.ping());
                Ok(())
            })?;
            floor = None;
            Ok(each(time, CALLS))
        },
        || {
            adds(&client, CALLS)?;
            adds(&client, CALLS)
        },
    )
}

fn against_packets(
    name: &str,
    placement: Placement,
    workers: usize,
    limits: Limits,
) -> Result<(), Box<dyn Error>> {
    placement.take_place();
    let client = spawn_with(placement, workers, limits)?;
    let mut floor = Packets::start("packet", placement)?;
    compare(
        name,
        placement,
        51,
        || Ok(each(time(|| (0..CALLS).try_for_each(|_| floor.ping().map_err(Into::into)))?, CALLS)),
        || {
            adds(&client, 100)?;
            adds(&client, CALLS)
        },
    )
}

fn unary_against_packets() -> Result<(), Box<dyn Error>> {
    against_packets("add, hot / SEQPACKET", Placement::CoreEach, 1, Limits::default())
}

fn unary_on_one_core() -> Result<(), Box<dyn Error>> {
    against_packets("add / SEQPACKET", Placement::OneCore, 1, Limits::default())
}

fn unary_over_socket() -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    limits.ring_bytes = 0;
    against_packets("add, without rings / SEQPACKET", Placement::CoreEach, 1, limits)?;
    against_packets("add, without rings / SEQPACKET", Placement::OneCore, 1, limits)
}

fn unary_after_quiet() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let client = spawn(placement)?;
    adds(&client, 100)?;
    let mut floor = Packets::start("packet", placement)?;
    let quiet = |act: &mut dyn FnMut() -> Result<(), Box<dyn Error>>| {
        thread::park_timeout(Duration::from_millis(10));
        time(act)
    };
    compare(
        "add, after 10 ms / SEQPACKET",
        placement,
        201,
        || quiet(&mut || Ok(floor.ping()?)),
        || quiet(&mut || add(&client)),
    )
}

/// As many calls at the same time as the floor has lines; the times are those of one.
fn in_flight() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let (client, mut floor) = (spawn(placement)?, None);
    let mut calls = Vec::with_capacity(LINES);
    let bursts = 500;
    let all = |count| each(count, bursts * LINES as u32);
    compare(
        "add, 64 in flight / 64 lines",
        placement,
        21,
        || {
            // Another process that looks without end would keep the child from its core.
            let lines = floor.insert(Line::start_many(placement)?);
            lines.ping_all();
            let time = time(|| {
                (0..bursts).for_each(|_| lines.ping_all());
                Ok(())
            })?;
            floor = None;
            Ok(all(time))
        },
        || Ok(all(time(|| (0..bursts).try_for_each(|_| burst(&client, &mut calls)))?)),
    )
}

/// Begins as many calls, and waits for them.
fn burst(client: &BenchClient, calls: &mut Vec<Pending<i64>>) -> Result<(), Box<dyn Error>> {
    for _ in 0..LINES {
        calls.push(client.begin_add(black_box(1), 2)?);
    }
    Ok(calls.drain(..).try_for_each(|call| call.wait().map(drop))?)
}

fn one_way() -> Result<(), Box<dyn Error>> {
    let client = spawn(Placement::CoreEach)?;
    against_poured_packets("a one-way call / packet one way", 100_000, || {
        (0..100_000).try_for_each(|number| client.note(number))?;
        // They are done once a call behind them is.
        add(&client)
    })
}

/// So many exchanges one way, of which the last is known to have arrived.
fn against_poured_packets(
    name: &str,
    count: u32,
    mut ours: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let mut floor = Packets::start("sink", placement)?;
    compare(
        name,
        placement,
        11,
        || Ok(each(time(|| Ok(floor.pour(count.into())?))?, count)),
        || Ok(each(time(&mut ours)?, count)),
    )
}

/// One caller of a server with workers, which looks at its ring in turns with others.
fn workers() -> Result<(), Box<dyn Error>> {
    for placement in [Placement::CoreEach, Placement::OneCore] {
        against_packets("add, 4 workers / SEQPACKET", placement, 4, Limits::default())?;
    }
    Ok(())
}

/// Threads on one client and workers, against one thread and one worker over sockets; and how even the threads' shares are.
fn threads() -> Result<(), Box<dyn Error>> {
    let placement = Placement::Free;
    placement.take_place();
    let mut sockets = Limits::default();
    sockets.ring_bytes = 0;
    let (one, many) = (spawn_with(placement, 1, sockets)?, spawn_with(placement, 4, Limits::default())?);
    let (mut least_share, mut longest) = (f64::MAX, Duration::ZERO);
    compare(
        "8 threads, 4 workers / 1 and 1",
        placement,
        21,
        || adds(&one, 4000),
        || {
            let callers = call_from_threads(&many, 8, Duration::from_millis(200))?;
            let total: u32 = callers.iter().map(|caller| caller.calls).sum();
            for caller in &callers {
                least_share = least_share.min(f64::from(caller.calls) * 8.0 / f64::from(total));
                longest = longest.max(caller.longest);
            }
            Ok(Duration::from_millis(200) / total.max(1))
        },
    )?;
    println!("{:<34} {placement:<11} {:>14} {least_share:>14.2}", "  least share of a thread, of 1", "");
    println!("{:<34} {placement:<11} {:>14} {longest:>14.1?}", "  longest call", "");
    Ok(())
}

/// What one of several threads came to.
struct Caller {
    calls: u32,
    longest: Duration,
}

/// Threads that call for so long, each as often as it can.
fn call_from_threads(
    client: &BenchClient,
    threads: usize,
    time: Duration,
) -> Result<Vec<Caller>, Box<dyn Error>> {
    let call_on = |client: BenchClient, start: Instant| -> Result<Caller, io::Error> {
        let (mut calls, mut longest, mut last) = (0, Duration::ZERO, Duration::ZERO);
        while last < time {
            client.add(black_box(1), 2)?;
            let now = start.elapsed();
            (calls, longest, last) = (calls + 1, longest.max(now.saturating_sub(last)), now);
        }
        Ok(Caller { calls, longest })
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| {
                let client = client.clone();
                scope.spawn(move || call_on(client, start))
            })
            .collect();
        let joined = callers
            .into_iter()
            .map(|caller| caller.join().map_err(|_| "a caller panicked")?.map_err(Into::into));
        joined.collect()
    })
}

fn stream() -> Result<(), Box<dyn Error>> {
    let client = spawn(Placement::CoreEach)?;
    against_poured_packets("Sender<u64> / packet one way", 100_000, || receive_stream(&client, 100_000))
}

const SIZES: [(&str, usize, u32); 4] =
    [("4 KiB", 4 << 10, 500), ("64 KiB", 64 << 10, 200), ("1 MiB", 1 << 20, 20), ("16 MiB", 16 << 20, 2)];

fn bytes_in() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let client = spawn(placement)?;
    let mut floor = Stream::start(placement)?;
    for (name, len, count) in SIZES {
        let bytes = vec![1; len];
        let mut into = vec![0; len];
        let ours = || -> Result<Duration, Box<dyn Error>> {
            Ok(each(
                time(|| (0..count).try_for_each(|_| client.sum(&bytes).map(drop).map_err(Into::into)))?,
                count,
            ))
        };
        compare(
            &format!("{name} in / stream socket"),
            placement,
            31,
            || {
                Ok(each(
                    time(|| (0..count).try_for_each(|_| floor.sum(&bytes).map(drop).map_err(Into::into)))?,
                    count,
                ))
            },
            ours,
        )?;
        compare(
            &format!("{name} in / two copies here"),
            placement,
            31,
            || {
                let copied = time(|| {
                    (0..count).for_each(|_| copy_through_region(&bytes, &mut into));
                    Ok(())
                })?;
                Ok(each(copied, count))
            },
            ours,
        )?;
    }
    Ok(())
}

fn bytes_out() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let client = spawn(placement)?;
    let mut floor = Stream::start(placement)?;
    for (name, len, count) in SIZES {
        compare(
            &format!("{name} out / stream socket"),
            placement,
            31,
            || {
                Ok(each(
                    time(|| (0..count).try_for_each(|_| floor.fill(len).map(drop).map_err(Into::into)))?,
                    count,
                ))
            },
            || {
                let filled = || client.fill(len as u64).map(|bytes| black_box(sum(&bytes)));
                Ok(each(time(|| (0..count).try_for_each(|_| filled().map(drop).map_err(Into::into)))?, count))
            },
        )?;
    }
    Ok(())
}

fn handle() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let client = spawn(placement)?;
    let mut floor = Packets::start("handle", placement)?;
    let file = File::open("/dev/null")?;
    compare(
        "a handle / SEQPACKET with one",
        placement,
        51,
        || Ok(each(time(|| (0..500).try_for_each(|_| floor.pass(&file).map_err(Into::into)))?, 500)),
        || {
            let call = || -> Result<(), Box<dyn Error>> { Ok(client.take(file.try_clone()?.into())?) };
            Ok(each(time(|| (0..500).try_for_each(|_| call()))?, 500))
        },
    )
}

fn spawn_to_first_answer() -> Result<(), Box<dyn Error>> {
    let placement = Placement::Free;
    placement.take_place();
    compare(
        "spawn to first answer / by hand",
        placement,
        51,
        || median_of(1, || Ok(Packets::start("packet", placement)?.ping()?)),
        || {
            median_of(1, || {
                let client = BenchClient::spawn(command(placement, 1)?)?;
                add(&client)
            })
        },
    )
}

/// Processor time of both processes for each call, at a steady rate.
fn processor_time() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    for (name, pause, count) in [("100 calls/s", 10_000, 100_u32), ("10,000 calls/s", 100, 10_000)] {
        let pause = Duration::from_micros(pause);
        let client = spawn(placement)?;
        adds(&client, 100)?;
        let mut sockets = Limits::default();
        sockets.ring_bytes = 0;
        let plain = spawn_with(placement, 1, sockets)?;
        let spent = |client: &BenchClient| -> Result<Duration, Box<dyn Error>> {
            let before = cpu() + client.cpu()?;
            for _ in 0..count {
                thread::park_timeout(pause);
                add(client)?;
            }
            Ok(each(Duration::from_nanos(cpu() + client.cpu()? - before), count))
        };
        compare(
            &format!("processor time, {name} / socket"),
            placement,
            if count > 1000 { 5 } else { 3 },
            || spent(&plain),
            || spent(&client),
        )?;
    }
    Ok(())
}

fn idle() -> Result<(), Box<dyn Error>> {
    let placement = Placement::CoreEach;
    placement.take_place();
    let client = spawn(placement)?;
    adds(&client, 10_000)?;
    let (ours, theirs) = (cpu(), client.cpu()?);
    thread::park_timeout(Duration::from_secs(2));
    let theirs = Duration::from_nanos(client.cpu()? - theirs);
    let ours = Duration::from_nanos(cpu() - ours);
    println!("{:<34} {placement:<11} client {ours:?}, server {theirs:?}", "processor time, idle for 2 s");
    Ok(())
}
