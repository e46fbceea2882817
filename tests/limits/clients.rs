//! How many clients a listener has.

use unix_ipc::{CallError, ConnectError, LimitExceeded, Limits};

use crate::service::{CounterClient, client_in_time, serve_while, stranger};
use crate::util::{Holdings, Watchdog, alone};

const CLIENTS: usize = 8;

fn few_clients() -> Limits {
    let mut limits = Limits::default();
    limits.clients = CLIENTS;
    limits
}

fn connect(path: &std::path::Path) -> CounterClient {
    CounterClient::connect(path).expect("there is room")
}

#[test]
fn where_all_have_introduced_themselves_one_more_is_refused_with_the_number() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for workers in [1, 3] {
        serve_while(few_clients(), workers, |path| {
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(path)).collect();
            let expected = LimitExceeded::Clients { limit: CLIENTS as u64 };
            for _ in 0..3 {
                let error = CounterClient::connect(path).unwrap_err();
                assert!(matches!(error, ConnectError::Refused(limit) if limit == expected), "{error:?}");
            }
            // Whose client introduces itself with its first call hears it there.
            let late = CounterClient::new(stranger(path));
            let error = late.double(1).unwrap_err();
            assert!(error.is_gone(), "{error:?}");
            assert!(matches!(error, CallError::Refused { source, .. } if source == expected), "{error:?}");
            let again = late.double(1).unwrap_err();
            assert!(matches!(again, CallError::Refused { source, .. } if source == expected), "{again:?}");
            for (number, client) in (0..).zip(&clients) {
                assert_eq!(client.double(number).unwrap(), 2 * number);
            }
            // One that goes makes room.
            drop(clients.pop());
            clients.push(client_in_time(path));
            assert_eq!(clients[CLIENTS - 1].double(4).unwrap(), 8);
        });
    }
    before.assert_restored();
}

#[test]
fn strangers_make_room_for_who_comes_later_and_those_who_have_met_stay() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for workers in [1, 3] {
        serve_while(few_clients(), workers, |path| {
            let first = connect(path);
            let strangers: Vec<_> = (1..CLIENTS).map(|_| stranger(path)).collect();
            let mut clients = vec![first];
            for number in 1..CLIENTS as u64 {
                let client = connect(path);
                assert_eq!(client.double(number).unwrap(), 2 * number);
                clients.push(client);
            }
            clients.iter().for_each(|client| assert_eq!(client.double(3).unwrap(), 6));
            for stranger in strangers {
                let error = CounterClient::new(stranger).double(1).unwrap_err();
                let expected = LimitExceeded::Clients { limit: CLIENTS as u64 };
                assert!(
                    matches!(error, CallError::Refused { source, .. } if source == expected),
                    "{error:?}"
                );
            }
        });
    }
    before.assert_restored();
}

#[test]
fn a_listener_for_nobody_refuses_everybody() {
    let _watchdog = Watchdog::new();
    let mut limits = Limits::default();
    limits.clients = 0;
    serve_while(limits, 1, |path| {
        let error = CounterClient::connect(path).unwrap_err();
        assert!(matches!(error, ConnectError::Refused(LimitExceeded::Clients { limit: 0 })), "{error:?}");
        let text = "the listener has 0 clients, which is the limit";
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), text);
    });
}
