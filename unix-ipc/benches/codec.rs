//! What the codec costs, beside plain bincode and beside what no codec can beat.
//!
//! `cargo bench -p unix-ipc --bench codec`

use std::hint::black_box;

use bincode::config::{Configuration, Fixint, LittleEndian};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use unix_ipc::{deserialize, serialize};

const PLAIN: Configuration<LittleEndian, Fixint> = bincode::config::standard().with_fixed_int_encoding();

const MIB: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    parent: Option<u64>,
    kind: u8,
    flags: u32,
    x: f64,
    y: f64,
    name: String,
    retries: u16,
    negative: i64,
    done: bool,
}

impl Record {
    fn new() -> Self {
        Self {
            id: 1,
            parent: Some(2),
            kind: 3,
            flags: 4,
            x: 5.0,
            y: 6.0,
            name: "seventh".to_owned(),
            retries: 8,
            negative: -9,
            done: true,
        }
    }
}

fn byte_string(criterion: &mut Criterion) {
    let value: Vec<u8> = (0..MIB).map(|index| index as u8).collect();
    let (bytes, _) = serialize(&value).expect("bytes serialise");
    let mut group = criterion.benchmark_group("1 MiB Vec<u8>");
    group.throughput(Throughput::Bytes(MIB as u64));
    group.bench_function("copy/memcpy", |bencher| bencher.iter(|| black_box(&value).clone()));
    group.bench_function("encode/unix-ipc", |bencher| bencher.iter(|| serialize(black_box(&value))));
    group.bench_function("encode/bincode", |bencher| {
        bencher.iter(|| bincode::serde::encode_to_vec(black_box(&value), PLAIN));
    });
    group.bench_function("decode/unix-ipc", |bencher| {
        bencher.iter(|| deserialize::<Vec<u8>>(black_box(&bytes), Vec::new()));
    });
    group.bench_function("decode/bincode", |bencher| {
        bencher.iter(|| bincode::serde::decode_from_slice::<Vec<u8>, _>(black_box(&bytes), PLAIN));
    });
    group.finish();
}

fn record(criterion: &mut Criterion) {
    let value = Record::new();
    let (bytes, _) = serialize(&value).expect("a record serialises");
    let mut group = criterion.benchmark_group("struct of 10 fields");
    group.bench_function("copy/memcpy", |bencher| bencher.iter(|| black_box(&bytes).clone()));
    group.bench_function("encode/unix-ipc", |bencher| bencher.iter(|| serialize(black_box(&value))));
    group.bench_function("encode/bincode", |bencher| {
        bencher.iter(|| bincode::serde::encode_to_vec(black_box(&value), PLAIN));
    });
    group.bench_function("decode/unix-ipc", |bencher| {
        bencher.iter(|| deserialize::<Record>(black_box(&bytes), Vec::new()));
    });
    group.bench_function("decode/bincode", |bencher| {
        bencher.iter(|| bincode::serde::decode_from_slice::<Record, _>(black_box(&bytes), PLAIN));
    });
    group.finish();
}

criterion_group!(codec, byte_string, record);
criterion_main!(codec);
