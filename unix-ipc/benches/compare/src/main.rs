//! The same work between two processes, done with this library and with others, each used as its own documentation
//! says.
//!
//!     cargo run --release                                              # the table
//!     cargo run --release -- --csv results.csv --chart chart.svg       # and both files
//!     cargo run --release -- chart results.csv chart.svg               # the chart of an earlier run
//!     cargo run --release -- --rounds 3 --only remoc                   # a quick look at one
//!
//! The program starts itself again as the server. The client runs on core 0 and the server on core 1, because where two
//! processes run decides more than what they do. The libraries take turns round by round, because the speed of a
//! machine drifts, and the median of the rounds counts. A library's file in `contenders` is all that is said to it.

mod chart;
mod contender;
mod contenders;
mod measure;
mod process;
mod results;
mod versions;

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// What everything here returns: a failure ends the run, with its words.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name, address] => serve(name, address),
        ["chart", csv, svg] => chart::draw(&results::read(csv.as_ref())?, svg.as_ref()),
        ref options => run(&Options::parse(options)?),
    }
}

/// The other process.
fn serve(name: &str, address: &str) -> Outcome {
    process::pin(process::SERVER_CORE)?;
    let contender = contenders::ALL.iter().find(|contender| contender.name == name).ok_or("who serves?")?;
    (contender.serve)(address)
}

fn run(options: &Options) -> Outcome {
    process::pin(process::CLIENT_CORE)?;
    let contenders: Vec<_> = contenders::ALL
        .iter()
        .filter(|contender| options.only.as_ref().is_none_or(|only| contender.name.contains(only)))
        .collect();
    let rows = measure::all(&contenders, options.rounds)?;
    print!("{}", results::table(&rows));
    if let Some(csv) = &options.csv {
        results::write(csv, &rows)?;
    }
    if let Some(svg) = &options.chart {
        chart::draw(&rows, svg)?;
    }
    Ok(())
}

struct Options {
    rounds: usize,
    only: Option<String>,
    csv: Option<PathBuf>,
    chart: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> Outcome<Self> {
        let mut options = Self { rounds: 21, only: None, csv: None, chart: None };
        for pair in words.chunks(2) {
            match *pair {
                ["--rounds", rounds] => options.rounds = rounds.parse::<usize>()?.max(1),
                ["--only", name] => options.only = Some(name.to_owned()),
                ["--csv", file] => options.csv = Some(file.into()),
                ["--chart", file] => options.chart = Some(file.into()),
                _ => return Err(format!("{} is no option: src/main.rs has them", pair.join(" ")).into()),
            }
        }
        Ok(options)
    }
}
