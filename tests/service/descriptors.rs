//! Handles, senders and receivers as arguments and return values.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;

use unix_ipc::{Connection, Handle, channel, ipc_service, test_command};

use crate::shapes::for_child_and_thread;
use crate::util::{Holdings, Watchdog, alone};

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    file.write_all(text.as_bytes()).expect("there is room in the file");
    file.seek(SeekFrom::Start(0)).expect("a file can be rewound");
    file
}

#[test]
fn a_lent_handle_stays_with_the_caller() {
    for_child_and_thread(|client| {
        let handle = Handle::from(file("lent"));
        assert_eq!(client.read_lent(&handle).unwrap(), "lent");
        let mut file = handle.into_inner();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "lent");
    });
}

#[test]
fn handles_deep_in_arguments_arrive_in_their_order() {
    for_child_and_thread(|client| {
        let files = (0..60).map(|number| file(&number.to_string()).into()).collect();
        let texts = client.read_given(files, Some(file("last").into())).unwrap();
        let expected: Vec<String> =
            (0..60).map(|number| number.to_string()).chain(["last".to_owned()]).collect();
        assert_eq!(texts, expected);
    });
}

#[test]
fn a_handle_comes_back_from_a_method() {
    for_child_and_thread(|client| {
        let mut null = client.open(Path::new("/dev/null")).unwrap().into_inner();
        assert_eq!(null.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn senders_and_receivers_are_arguments_and_return_values() {
    for_child_and_thread(|client| {
        let (sender, numbers) = channel().unwrap();
        client.count_to(3, &sender).unwrap();
        client.count_into(2, sender.clone()).unwrap();
        drop(sender);
        assert_eq!(numbers.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3, 1, 2]);

        let (sender, numbers) = channel().unwrap();
        let sum = client.begin_sum(numbers).unwrap();
        (1..=100).for_each(|number| sender.send(number).unwrap());
        drop(sender);
        assert_eq!(sum.wait().unwrap(), 5050);

        let counted = client.counted(4).unwrap();
        assert_eq!(counted.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3, 4]);
        let (sender, receiver) = client.pipe().unwrap();
        sender.send(5).unwrap();
        assert_eq!(receiver.recv().unwrap(), 5);
    });
}

#[ipc_service]
trait Counted {
    fn add(&self, a: u32, b: u32) -> u32;
    fn swap(&self, file: Handle<File>, lent: &Handle<File>) -> (Handle<File>, Handle<File>);
    fn holdings(&self) -> usize;
}

struct Counter;

impl Counted for Counter {
    fn add(&self, a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    fn swap(&self, file: Handle<File>, lent: &Handle<File>) -> (Handle<File>, Handle<File>) {
        let copy = lent.as_fd().try_clone_to_owned().expect("there is room for a descriptor");
        (File::from(copy).into(), file)
    }

    fn holdings(&self) -> usize {
        Holdings::now().descriptor_count()
    }
}

#[test]
fn p01_after_20_000_calls_both_sides_hold_as_many_descriptors_as_before() {
    if let Some(connection) = Connection::inherited().unwrap() {
        CountedServer::new(Counter).serve(connection).unwrap();
        return;
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = CountedClient::spawn(test_command()).unwrap();
    let lent = Handle::from(File::open("/dev/null").unwrap());
    client.add(1, 2).unwrap();
    let (ours, theirs) = (Holdings::now(), client.holdings().unwrap());
    for number in 0..20_000 {
        if number % 5 == 0 {
            drop(client.swap(File::open("/dev/null").unwrap().into(), &lent).unwrap());
        } else {
            assert_eq!(client.add(number, 1).unwrap(), number + 1);
        }
    }
    ours.assert_restored();
    assert_eq!(client.holdings().unwrap(), theirs);
}
