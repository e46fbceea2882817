use super::*;

type TestCalls = Calls<&'static str, u8>;

fn calls() -> TestCalls {
    Calls::new(2, 10)
}

pub(super) fn reply(bytes: usize) -> Outcome {
    Outcome::Reply(Message::new(vec![0; bytes], Vec::new()))
}

#[test]
fn a_reply_waits_for_its_caller() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    assert!(!calls.is_ready(id));
    assert!(calls.take(id).is_none());
    calls.wait(id, "caller");
    assert_eq!(calls.settle(id, reply(1)).unwrap(), Some(&"caller"));
    assert!(calls.is_ready(id));
    assert!(matches!(calls.take(id), Some(Outcome::Reply(_))));
    assert!(calls.is_idle());
}

#[test]
fn p60_calls_in_flight_are_limited() {
    let mut calls = calls();
    let first = calls.begin().unwrap();
    calls.begin().unwrap();
    assert_eq!(calls.begin(), Err(LimitExceeded::CallsInFlight { limit: 2 }));
    calls.abandon(first);
    calls.begin().unwrap();
}

#[test]
fn p60_unread_replies_are_limited_until_taken() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    calls.settle(id, reply(11)).unwrap();
    assert_eq!(calls.begin(), Err(LimitExceeded::UnreadReplies { limit: 10 }));
    calls.take(id).unwrap();
    calls.begin().unwrap();
}

#[test]
fn p56_a_late_reply_answers_nobody() {
    let mut calls = calls();
    let late = calls.begin().unwrap();
    calls.abandon(late);
    let next = calls.begin().unwrap();
    assert_eq!(calls.settle(late, reply(1)).unwrap(), None);
    assert!(!calls.is_ready(next));
    assert_eq!(calls.unread_bytes, 0);
}

#[test]
fn an_id_never_given_out_is_nonsense() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    assert_eq!(calls.settle(id + 1, reply(0)), Err(ProtocolError::Call(id + 1)));
    assert_eq!(calls.drop_connection(0), Err(ProtocolError::Call(0)));
    assert_eq!(calls.add_socket(9, 1, 8), Err(ProtocolError::Call(9)));
}

#[test]
fn the_first_of_two_replies_wins() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    calls.settle(id, reply(1)).unwrap();
    calls.settle(id, Outcome::Failed(Failure::Dropped)).unwrap();
    assert!(matches!(calls.take(id), Some(Outcome::Reply(_))));
}

#[test]
fn p54_no_reply_comes_when_all_holders_are_gone() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    calls.add_socket(id, 7, 8).unwrap();
    calls.add_socket(id, 8, 8).unwrap();
    calls.drop_connection(id).unwrap();
    assert!(!calls.is_ready(id));
    calls.drop_socket(id, &7);
    assert!(!calls.is_ready(id));
    calls.wait(id, "caller");
    assert_eq!(calls.drop_socket(id, &8), Some(&"caller"));
    assert!(matches!(calls.take(id), Some(Outcome::Failed(Failure::Dropped))));
}

#[test]
fn the_end_fails_all_calls_but_those_with_a_socket() {
    let mut calls = calls();
    let plain = calls.begin().unwrap();
    let forwarded = calls.begin().unwrap();
    calls.add_socket(forwarded, 7, 8).unwrap();
    calls.wait(plain, "plain");
    assert_eq!(calls.end(Ended::Disconnected).collect::<Vec<_>>(), [&"plain"]);
    assert!(matches!(calls.take(plain), Some(Outcome::Ended(Ended::Disconnected))));
    assert!(!calls.is_ready(forwarded));
    assert_eq!(calls.sockets(), [(forwarded, 7)]);
    calls.drop_socket(forwarded, &7);
    assert!(matches!(calls.take(forwarded), Some(Outcome::Ended(Ended::Disconnected))));
}

#[test]
fn a_peer_that_lies_fails_the_calls_with_a_socket_as_well() {
    let mut calls = calls();
    let forwarded = calls.begin().unwrap();
    calls.add_socket(forwarded, 7, 8).unwrap();
    calls.drop_connection(forwarded).unwrap();
    calls.wait(forwarded, "caller");
    let lie = Ended::Protocol(ProtocolError::Kind(0));
    assert_eq!(calls.end(lie.clone()).collect::<Vec<_>>(), [&"caller"]);
    let Some(Outcome::Ended(ended)) = calls.take(forwarded) else { panic!("not ended") };
    assert_eq!(ended, lie);
}

#[test]
fn sockets_of_one_call_are_limited() {
    let mut calls = calls();
    let id = calls.begin().unwrap();
    calls.add_socket(id, 1, 1).unwrap();
    assert_eq!(calls.add_socket(id, 2, 1), Err(ProtocolError::Call(id)));
}
