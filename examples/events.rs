//! Two ways to hear more than one answer: a sender as an argument subscribes, a receiver is a result in parts.
//!
//!     cargo run --example events

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde::{Deserialize, Serialize};
use unix_ipc::{Connection, Receiver, Sender, channel, ipc_service};

/// Runs shell commands, in a process that does nothing else.
#[ipc_service]
trait Jobs {
    /// Tells the subscriber of every job that starts and ends from now on.
    fn subscribe(&mut self, events: Sender<Event>);
    /// Starts a job. Its lines come while it prints them, and end with it.
    fn start(&mut self, command: &str) -> io::Result<Receiver<String>>;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Event {
    Started { job: u32 },
    Ended { job: u32, status: Option<i32> },
}

#[derive(Default)]
struct Shell {
    jobs: u32,
    subscribers: Vec<Sender<Event>>,
}

impl Jobs for Shell {
    fn subscribe(&mut self, events: Sender<Event>) {
        self.subscribers.push(events);
    }

    fn start(&mut self, command: &str) -> io::Result<Receiver<String>> {
        let child = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn()?;
        let (lines, receiver) = channel()?;
        self.jobs += 1;
        let job = self.jobs;
        self.subscribers.retain(|subscriber| tell(subscriber, Event::Started { job }));
        let subscribers = self.subscribers.clone();
        thread::spawn(move || follow(child, job, &lines, &subscribers));
        Ok(receiver)
    }
}

/// Passes on what a job prints, for as long as somebody listens, and says how it ended.
fn follow(
    mut child: Child,
    job: u32,
    lines: &Sender<String>,
    subscribers: &[Sender<Event>],
) -> io::Result<()> {
    if let Some(output) = child.stdout.take() {
        let mut printed = BufReader::new(output).lines().map_while(Result::ok);
        while printed.next().is_some_and(|line| lines.send(line).is_ok()) {}
    }
    let status = child.wait()?.code();
    for subscriber in subscribers {
        tell(subscriber, Event::Ended { job, status });
    }
    Ok(())
}

/// False where the subscriber is gone. One that does not read misses events and holds no job up.
fn tell(subscriber: &Sender<Event>, event: Event) -> bool {
    subscriber.try_send(event).err().is_none_or(|error| !error.is_disconnected())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(JobsServer::new(Shell::default()).serve(connection)?);
    }

    let jobs = JobsClient::spawn(Command::new(env::current_exe()?))?;
    let (subscriber, events) = channel()?;
    jobs.subscribe(subscriber)?;

    for line in jobs.start("echo one; echo two")? {
        println!("line: {}", line?);
    }
    drop(jobs.start("exit 3")?);
    for event in events.iter().take(4) {
        println!("event: {:?}", event?);
    }
    Ok(())
}
