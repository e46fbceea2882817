//! Tasks that wait in a queue of the user's own.

use std::time::Duration;

use unix_ipc::{CallError, Connection};

use crate::service::{Sloth, SlowClient, SlowServer, SlowTask};
use crate::util::Watchdog;

#[test]
fn a_task_that_nobody_waits_for_any_more_is_not_run() {
    let _watchdog = Watchdog::new();
    let server = SlowServer::new(Sloth::default());
    let (ours, theirs) = Connection::pair().unwrap();
    let client = SlowClient::new(theirs);
    let mut tasks = ours.tasks::<SlowTask>();
    for is_last in [false, true] {
        let late = client.with_timeout(Duration::from_millis(20)).begin_mark(1).unwrap();
        let (dropped, wanted) = (client.begin_mark(2).unwrap(), client.begin_mark(3).unwrap());
        let mut queue = Vec::new();
        // Where this thread was stopped for long, the first is not among them.
        while !matches!(queue.last(), Some(SlowTask::Mark { number: 3, .. })) {
            queue.push(tasks.next().unwrap().unwrap());
        }
        assert!(matches!(late.wait(), Err(CallError::Timeout { .. })));
        drop(dropped);
        let last = client.begin_mark(4).unwrap();
        // What takes the others back comes before it.
        let last_task = tasks.next().unwrap().unwrap();
        queue.into_iter().chain([last_task]).for_each(|task| task.dispatch(server.service()));
        wanted.wait().unwrap();
        last.wait().unwrap();
        if is_last {
            let marks = client.begin_marks().unwrap();
            tasks.next().unwrap().unwrap().dispatch(server.service());
            assert_eq!(marks.wait().unwrap(), [3, 4, 3, 4]);
        }
    }
}
