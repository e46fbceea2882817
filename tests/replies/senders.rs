//! The reply sender in the hands of the service.

use std::thread;

use unix_ipc::{Connection, test_command};

use crate::answers::{AnswersClient, AnswersTask, serve_by_hand};
use crate::util::Watchdog;

#[test]
fn a_second_send_on_any_clone_fails_as_disconnected_and_gives_the_value_back() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    assert_eq!(client.twice(4).unwrap(), 8);
    assert_eq!(client.second().unwrap(), "true 9");
}

#[test]
fn another_thread_answers_after_the_handler_has_returned() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    let pending: Vec<_> = (0..10).map(|number| client.begin_later(number).unwrap()).collect();
    // Later calls are answered before.
    assert_eq!(client.double(1).unwrap(), 2);
    assert!(pending.iter().all(|call| !call.is_ready()));
    for (number, call) in (0..10).zip(pending) {
        client.now().unwrap();
        assert_eq!(call.wait().unwrap(), 2 * number);
    }
}

#[test]
fn replies_come_after_the_server_has_left_its_loop() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    for bytes in [1, 10 << 20] {
        let client = AnswersClient::spawn(test_command()).unwrap();
        let later = client.begin_later(4).unwrap();
        client.now().unwrap();
        let last = client.begin_leave(bytes).unwrap();
        let behind = client.begin_double(1).and_then(unix_ipc::Pending::wait);
        assert!(last.wait().unwrap() == vec![7; bytes]);
        assert_eq!(later.wait().unwrap(), 8);
        assert!(behind.unwrap_err().is_gone());
        assert!(client.double(1).unwrap_err().is_gone());
    }
}

#[test]
fn p30_a_reply_that_was_sent_arrives_though_the_loop_was_left_at_once() {
    let _watchdog = Watchdog::new();
    for bytes in [0, 1 << 20, 10 << 20] {
        let (ours, theirs) = Connection::pair().unwrap();
        let server = thread::spawn(move || {
            for task in theirs.tasks::<AnswersTask>().take(1) {
                task.unwrap().dispatch(&crate::answers::Plain);
            }
        });
        let client = AnswersClient::new(ours);
        assert!(client.bytes(bytes).unwrap() == vec![7; bytes], "{bytes} bytes");
        server.join().unwrap();
    }
}

#[test]
fn try_send_answers_whole_or_not_at_all() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve_by_hand(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = AnswersClient::spawn(test_command()).unwrap();
    for bytes in [0, 1000, 60_000, 70_000, 1 << 20, 5 << 20] {
        assert!(client.try_bytes(bytes).unwrap() == vec![7; bytes], "{bytes} bytes");
        assert_eq!(client.double(1).unwrap(), 2);
    }
}

#[test]
fn a_reply_that_nobody_waits_for_is_no_error_of_the_service() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let client = AnswersClient::new(ours);
    let (given_up, last) = (client.begin_double(1).unwrap(), client.begin_double(2).unwrap());
    let mut tasks = theirs.tasks::<AnswersTask>();
    let begun: Vec<_> = tasks.by_ref().take(2).collect();
    drop(given_up);
    for task in begun {
        let Ok(AnswersTask::Double { number, reply }) = task else { panic!("two calls") };
        reply.send(2 * number).unwrap();
    }
    assert_eq!(last.wait().unwrap(), 4);
    // Once the client is gone, the sender learns it and has its value back.
    let pending = client.begin_double(3).unwrap();
    let Some(Ok(AnswersTask::Double { reply, .. })) = tasks.next() else { panic!("a call") };
    drop((pending, client));
    assert!(tasks.next().is_none());
    let error = reply.send(6).unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.into_inner(), 6);
}
