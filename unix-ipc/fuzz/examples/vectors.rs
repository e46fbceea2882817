//! Writes inputs for the fuzz targets to begin with: the test vectors of WIRE.md, and a few steps that a fuzzer would take long
//! to guess. `cargo run --example vectors DIRECTORY` writes them to a directory for each target in that one.
//!
//! What an input means is what the functions of the library's `fuzzing` module read of it, number by number.

use std::path::Path;
use std::{env, fs, io};

#[allow(dead_code)]
#[path = "../../../tests/wire/vectors.rs"]
mod vectors;

/// The header in front of a packet, in bytes.
const HEADER: usize = 16;

fn main() -> io::Result<()> {
    let directory = env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let write = |target: &str, name: &str, input: &[u8]| {
        let directory = Path::new(&directory).join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name.replace('/', "-")), input)
    };
    let packets: Vec<_> =
        vectors::all().iter().map(|(name, vector)| (*name, vectors::filled(vector))).collect();

    let mut all = Vec::new();
    for (name, packet) in packets.iter().filter(|(_, packet)| packet.len() <= 1024) {
        let count = packet.get(2).copied().unwrap_or(0).min(3);
        write("frame", name, &[&[1][..], &sent(packet, count)].concat())?;
        all.extend([&[1][..], &sent(packet, count)].concat());
        // Either end of a connection, introduced and with a call on its way.
        write(
            "handshake",
            &format!("{name}-to-server"),
            &[&[0, 0, 0, 1, 1][..], &sent(packet, count)].concat(),
        )?;
        write(
            "handshake",
            &format!("{name}-to-client"),
            &[&[1, 1, 0, 0, 1, 1][..], &sent(packet, count)].concat(),
        )?;
        if let Some(hello) = packet.get(HEADER..).filter(|_| name.starts_with("hello")) {
            write("handshake", &format!("{name}-alone"), hello)?;
        }
        if let Some(body) =
            packet.get(HEADER..).filter(|_| name.starts_with("value") || name.starts_with("reply"))
        {
            for of_type in 0..6 {
                let input = [&[of_type, 8][..], &vec![0; usize::from(of_type == 5)], body].concat();
                write("codec", &format!("{name}-{of_type}"), &input)?;
            }
        }
    }
    write("frame", "all", &all)?;
    for (name, of_type, body) in values() {
        write("codec", name, &[&[of_type, 16][..], &body].concat())?;
    }
    for (name, steps) in rings() {
        write("ring", name, &steps)?;
        // The same with words that somebody else writes in between.
        let haunted: Vec<u8> =
            steps.chunks(8).flat_map(|chunk| [chunk, &[15, 64, 0, 1, 3, 8, 0, 0]].concat()).collect();
        write("ring", &format!("{name}-haunted"), &haunted)?;
    }
    for (name, steps) in connections() {
        write("handshake", name, &steps)?;
    }
    Ok(())
}

/// A packet with descriptors, as `send` and `next_packet` read it.
fn sent(packet: &[u8], descriptors: u8) -> Vec<u8> {
    let length = (packet.len() as u16).to_le_bytes();
    [&[descriptors][..], &vec![0; descriptors.into()], &length, packet].concat()
}

fn length(length: u64) -> [u8; 8] {
    length.to_le_bytes()
}

/// Values of the types that the codec's function has.
fn values() -> Vec<(&'static str, u8, Vec<u8>)> {
    let record = [
        &[7; 4 + 16 + 1 + 8][..],
        &length(2),
        b"ab",
        &length(1),
        b"x",
        &length(2),
        &[0, 1],
        &length(1),
        b"y",
    ]
    .concat();
    let record = [&record[..], &length(1), &[1, b'z'], &[0; 4], &[0; 4]].concat();
    let strings =
        [&length(1)[..], b"x", &[1], &length(1), b"y", &length(1), &length(2), b"zz", &length(0)].concat();
    let sorted =
        [&length(1)[..], &length(1), b"k", &length(1), b"v", &length(1), &[1], &length(1), &[1, 0]].concat();
    let sorted =
        [&sorted[..], &length(1), &[9; 4], &[0; 12], &length(1), b"/", &length(1), b"c", &[0], &[1, 0]]
            .concat();
    let ports = [&[1, 0, 1, 0, 0, 0, 0][..], &length(0), &[0, 0, 0], &length(1), b"b"].concat();
    vec![
        ("record", 0, record),
        ("nodes", 1, [&length(1)[..], &length(0), &[1], &length(0), &[0, 0]].concat()),
        ("deep", 1, [0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(100)),
        ("strings", 2, strings),
        ("sorted", 3, sorted),
        ("empty", 4, [length(1 << 19), length(1 << 19), length(1)].concat()),
        ("ports", 5, ports),
    ]
}

/// Steps of a pair of rings: the end that made the memory, the size, and then what is done.
fn rings() -> Vec<(&'static str, Vec<u8>)> {
    let send = |len: u16| [&[0][..], &len.to_le_bytes(), &[0]].concat();
    let there_and_back = [send(8), vec![4, 0, 0], send(40), vec![7], send(20), vec![6, 8]].concat();
    let around =
        [&there_and_back[..], &[9, 10, 20, 12, 2, 14, 1, 0, 0, 0, 0, 0, 0, 0, 0]].concat().repeat(12);
    let grown = [&there_and_back[..], &[11, 200, 0], &around].concat();
    let closed = [&there_and_back[..], &[13], &send(1), &[4, 0, 0]].concat();
    let all = [("around", around), ("grown", grown), ("closed", closed)];
    (0..12)
        .flat_map(|kind| {
            all.clone().map(|(name, steps)| {
                let name: &'static str = format!("{name}-{kind}").leak();
                (name, [&[kind / 4, kind % 4][..], &steps].concat())
            })
        })
        .collect()
}

/// Steps of a peer: the library's end, who makes rings, and then what is done.
fn connections() -> Vec<(&'static str, Vec<u8>)> {
    let call = |number: u8, arguments: &[u8]| {
        let packet = [
            &[5, 0, 0, 0, 0, 0, 0, 0, number + 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[number, 0, 0, 0],
            arguments,
            &[255; 4],
        ]
        .concat();
        [&[1, 1][..], &sent(&packet, 0)].concat()
    };
    let echo = call(0, &[&length(3)[..], b"abc"].concat());
    let sum = call(1, &[1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let through_ring = [&[7][..], &echo[2..]].concat();
    let calls = [&[0][..], &echo, &[7], &sum, &[7]].concat();
    vec![
        ("server-calls", [&[0, 1][..], &calls].concat()),
        ("server-offers", [&[0, 0][..], &calls.repeat(5)].concat()),
        (
            "server-takes-rings",
            [&[0, 1][..], &calls, &[5, 0, 6], &through_ring, &[7, 8], &through_ring, &[7, 9, 64, 0, 1, 9]]
                .concat(),
        ),
        (
            "client-takes-rings",
            [&[1, 1, 0, 0, 0, 0][..], &[1, 5, 0, 1, 6, 0, 1, 8, 1, 9, 64, 0, 1, 9]].concat(),
        ),
        ("client-calls", [&[1, 2][..], &[0, 0, 0, 1, 0, 1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 1]].concat()),
    ]
}
