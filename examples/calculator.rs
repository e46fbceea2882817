//! A trait, called in a child process.
//!
//!     cargo run --example calculator

use std::env;
use std::error::Error;
use std::process::{self, Command};

use serde::{Deserialize, Serialize};
use unix_ipc::{CallError, Connection, ipc_service};

#[ipc_service]
trait Calculator {
    /// Adds two numbers.
    fn add(&self, a: i64, b: i64) -> i64;
    /// Divides one number by another.
    fn divide(&self, a: i64, b: i64) -> Result<i64, DivideError>;
    /// The process that calculates.
    fn process(&self) -> u32;
    /// Notes something down, without an answer.
    #[oneway]
    fn log(&self, line: &str);
}

#[derive(Debug, Serialize, Deserialize)]
enum DivideError {
    ByZero,
    Overflow,
}

struct Abacus;

impl Calculator for Abacus {
    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn divide(&self, a: i64, b: i64) -> Result<i64, DivideError> {
        if b == 0 {
            return Err(DivideError::ByZero);
        }
        a.checked_div(b).ok_or(DivideError::Overflow)
    }

    fn process(&self) -> u32 {
        process::id()
    }

    fn log(&self, line: &str) {
        println!("the child notes: {line}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(CalculatorServer::new(Abacus).serve(connection)?);
    }

    let calculator = CalculatorClient::spawn(Command::new(env::current_exe()?))?;
    calculator.log("somebody is here")?;
    println!("23 + 42 = {}", calculator.add(23, 42)?);
    match calculator.divide(1, 0) {
        // The service's own error; every other variant is the call's, as when the child is gone.
        Err(CallError::Service(error)) => println!("1 / 0 is refused: {error:?}"),
        other => println!("1 / 0 = {other:?}"),
    }
    println!("calculated in another process: {}", calculator.process()? != process::id());
    Ok(())
}
