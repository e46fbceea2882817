//! The example on the page of the original crate, compiled as it is written there, with a child that connects by the
//! path in its environment.
#![cfg(test)]

mod util;

use std::env;
use std::process;

use util::Watchdog;

mod example {
    use std::env;
    use std::process;

    use serde::{Deserialize, Serialize};
    use unix_ipc::{Bootstrapper, Receiver, Sender, channel};

    pub(crate) const ENV_VAR: &str = "PROC_CONNECT_TO";

    #[derive(Serialize, Deserialize, Debug)]
    pub(crate) enum Task {
        Sum(Vec<i64>, Sender<i64>),
        Shutdown,
    }

    pub(crate) fn main() {
        if let Ok(path) = env::var(ENV_VAR) {
            let receiver = Receiver::<Task>::connect(path).unwrap();
            #[expect(clippy::while_let_loop, reason = "the page has it so")]
            loop {
                match receiver.recv().unwrap() {
                    Task::Sum(values, tx) => {
                        tx.send(values.into_iter().sum::<i64>()).unwrap();
                    }
                    Task::Shutdown => break,
                }
            }
        } else {
            let bootstrapper = Bootstrapper::new().unwrap();
            let mut child = process::Command::new(env::current_exe().unwrap())
                .env(ENV_VAR, bootstrapper.path())
                .spawn()
                .unwrap();

            let (tx, rx) = channel().unwrap();
            bootstrapper.send(Task::Sum(vec![23, 42], tx)).unwrap();
            println!("sum: {}", rx.recv().unwrap());
            bootstrapper.send(Task::Shutdown).unwrap();

            // All that the page does not say: whether the child was well.
            assert!(child.wait().unwrap().success());
        }
    }
}

/// The only test of this file: the example starts this executable without arguments, and the child runs all there is.
#[test]
fn the_original_example_runs_as_it_is_written_and_prints_its_sum() {
    const GUARD: &str = "RUN_EXAMPLE";
    if env::var_os(GUARD).is_some() {
        return example::main();
    }
    let _watchdog = Watchdog::new();
    let mut command = process::Command::new(env::current_exe().unwrap());
    // With one thread, as on one core, the harness begins the line that the example ends.
    command.arg("--nocapture").env("RUST_TEST_THREADS", "2");
    let output = command.env(GUARD, "1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().any(|line| line == "sum: 65"), "{text}");
}
