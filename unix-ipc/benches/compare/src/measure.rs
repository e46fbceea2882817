//! What is measured, and the turns that the libraries take.

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples};
use crate::results::{Row, Unit};

struct Measure {
    name: &'static str,
    unit: Unit,
    take: fn(&mut dyn Client) -> Outcome<Option<f64>>,
}

const MEASURES: [Measure; 4] = [
    Measure { name: "add(i64, i64)", unit: Unit::Seconds, take: add },
    Measure { name: "64 calls in flight", unit: Unit::PerSecond, take: in_flight },
    Measure { name: "1 MiB in, its sum out", unit: Unit::Seconds, take: sum },
    Measure { name: "stream of u64", unit: Unit::PerSecond, take: stream },
];

/// How many numbers a stream has.
const STREAMED: u64 = 10_000;

fn add(client: &mut dyn Client) -> Outcome<Option<f64>> {
    let mut samples = Samples::new(300, 1000);
    client.add(&mut samples)?;
    Ok(samples.median())
}

fn in_flight(client: &mut dyn Client) -> Outcome<Option<f64>> {
    let mut samples = Samples::new(5, 50);
    client.in_flight(&mut samples)?;
    Ok(samples.rate(IN_FLIGHT as u64))
}

fn sum(client: &mut dyn Client) -> Outcome<Option<f64>> {
    let bytes: Vec<u8> = (0..1 << 20).map(|index: u32| index.to_le_bytes()[0]).collect();
    let mut samples = Samples::new(3, 15);
    client.sum(&bytes, &mut samples)?;
    Ok(samples.median())
}

fn stream(client: &mut dyn Client) -> Outcome<Option<f64>> {
    let mut samples = Samples::new(1, 3);
    client.stream(STREAMED, &mut samples)?;
    Ok(samples.rate(STREAMED))
}

/// Every measure of every library, over rounds in which each library has one turn.
///
/// A turn has a server of its own, so that those who look without end do not take the core from others.
pub(crate) fn all(contenders: &[&Contender], rounds: usize) -> Outcome<Vec<Row>> {
    let mut taken = vec![[const { Vec::new() }; MEASURES.len()]; contenders.len()];
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds}");
        for (contender, taken) in contenders.iter().zip(&mut taken) {
            for (taken, value) in taken.iter_mut().zip(patiently(contender)?) {
                taken.extend(value);
            }
        }
    }
    eprintln!();
    let mut rows = Vec::new();
    for (index, measure) in MEASURES.iter().enumerate() {
        for (contender, taken) in contenders.iter().zip(&mut taken) {
            rows.push(row(measure, contender, &mut taken[index]));
        }
    }
    Ok(rows)
}

/// How often a turn is taken again.
const AGAIN: usize = 2;

/// A turn that fails is said and taken again, because a machine that others load can keep a process from its core for
/// longer than a library waits.
fn patiently(contender: &Contender) -> Outcome<[Option<f64>; MEASURES.len()]> {
    for _ in 0..AGAIN {
        match turn(contender) {
            Ok(values) => return Ok(values),
            Err(error) => eprintln!("\n{}: {error}: again", contender.name),
        }
    }
    turn(contender).map_err(|error| format!("{}: {error}", contender.name).into())
}

fn turn(contender: &Contender) -> Outcome<[Option<f64>; MEASURES.len()]> {
    let mut client = (contender.start)()?;
    let mut values = [None; MEASURES.len()];
    for (measure, value) in MEASURES.iter().zip(&mut values) {
        *value = (measure.take)(&mut *client).map_err(|error| format!("{}: {error}", measure.name))?;
    }
    Ok(values)
}

fn row(measure: &Measure, contender: &Contender, taken: &mut [f64]) -> Row {
    taken.sort_by(f64::total_cmp);
    Row {
        measure: measure.name.to_owned(),
        unit: measure.unit,
        library: contender.name.to_owned(),
        version: (contender.version)().unwrap_or_default().to_owned(),
        median: taken.get(taken.len() / 2).copied(),
        least: taken.first().copied(),
        most: taken.last().copied(),
    }
}
