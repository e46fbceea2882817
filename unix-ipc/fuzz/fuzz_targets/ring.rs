#![no_main]

use libfuzzer_sys::fuzz_target;
use unix_ipc::fuzzing;

fuzz_target!(|input: &[u8]| fuzzing::ring(input));
