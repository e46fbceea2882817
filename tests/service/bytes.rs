//! Byte strings of every size come back unchanged.

use crate::shapes::{Record, for_child_and_thread};

/// Bytes that show a shift, a swap of packets and a cut.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}

const PACKET: usize = 64 << 10;

#[test]
fn byte_strings_of_every_size_come_back() {
    for_child_and_thread(|client| {
        let around_a_packet = (PACKET - 64..PACKET + 64).step_by(7);
        let sizes = [0, 1, 7, 255, 256, 4095, 4096, 2 * PACKET, 1 << 20, (1 << 20) + 1, 33 << 20];
        for size in sizes.into_iter().chain(around_a_packet) {
            let block = pattern(size);
            assert!(client.bytes(&block).unwrap() == block, "{size} bytes");
        }
    });
}

#[test]
fn byte_strings_come_back_wherever_they_stand() {
    for_child_and_thread(|client| {
        for size in [0, 3, 70_000] {
            let block = pattern(size);
            let record =
                Record { blob: block.clone(), parts: vec![Some(block.clone()); 2], ..Record::default() };
            let boxed = block.clone().into_boxed_slice();
            let expected =
                (block.clone(), boxed.clone(), Some(block.clone()), (1, block.clone()), record.clone());
            let blocks =
                client.blocks(block.clone(), boxed, Some(&block), (1, block.clone()), record).unwrap();
            assert!(blocks == expected, "{size} bytes");
        }
    });
}
