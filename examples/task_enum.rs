//! Server loops of one's own: over a task enum written by hand, on plain channels, as the original `unix-ipc`
//! has it; and over one that `#[ipc_service]` wrote.
//!
//!     cargo run --example task_enum

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};
use unix_ipc::{Bootstrapper, Connection, Receiver, Sender, channel, ipc_service};

/// Tells the child where to connect.
const PATH_VARIABLE: &str = "TASK_ENUM_PATH";

/// By hand: a variant for each request, with the sender of its answer.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Sum(Vec<i64>, Sender<i64>),
    Shutdown,
}

fn serve_by_hand(tasks: &Receiver<Task>) -> Result<(), Box<dyn Error>> {
    for task in tasks {
        match task? {
            Task::Sum(values, reply) => reply.send(values.iter().sum())?,
            Task::Shutdown => break,
        }
    }
    Ok(())
}

/// Generated: `NumbersTask::Sum { values: Vec<i64>, reply: Sender<i64> }` and so on, with a client that knows it.
#[ipc_service]
trait Numbers {
    /// Adds up.
    fn sum(&self, values: &[i64]) -> i64;
    /// Finds the largest, if there is one.
    fn largest(&self, values: &[i64]) -> Option<i64>;
}

struct Computer;

impl Numbers for Computer {
    fn sum(&self, values: &[i64]) -> i64 {
        values.iter().sum()
    }

    fn largest(&self, values: &[i64]) -> Option<i64> {
        values.iter().copied().max()
    }
}

fn serve_generated(connection: &Connection) -> Result<(), Box<dyn Error>> {
    for task in connection.tasks::<NumbersTask>() {
        match task? {
            // Long ones are answered by a thread, while the loop goes on.
            NumbersTask::Sum { values, reply } if values.len() > 1000 => {
                thread::spawn(move || reply.send(values.iter().sum()));
            }
            other => other.dispatch(&Computer),
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = env::var_os(PATH_VARIABLE) {
        return serve_by_hand(&Receiver::connect(path)?);
    }
    if let Some(connection) = Connection::inherited()? {
        return serve_generated(&connection);
    }

    let bootstrapper = Bootstrapper::new()?;
    let mut child = Command::new(env::current_exe()?).env(PATH_VARIABLE, bootstrapper.path()).spawn()?;
    let (sender, receiver) = channel()?;
    bootstrapper.send(Task::Sum(vec![23, 42], sender))?;
    println!("by hand: sum {}", receiver.recv()?);
    bootstrapper.send(Task::Shutdown)?;
    println!("by hand: {}", child.wait()?);

    let numbers = NumbersClient::spawn(Command::new(env::current_exe()?))?;
    let long: Vec<i64> = (1..=1_000_000).collect();
    let sum = numbers.begin_sum(&long)?;
    println!("generated: largest {:?}", numbers.largest(&[23, 42])?);
    println!("generated: sum {}", sum.wait()?);
    Ok(())
}
