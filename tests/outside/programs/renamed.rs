//! A program that knows `unix-ipc` as `ipc`, and other things by the name `unix_ipc`.

mod unix_ipc {
    #![allow(dead_code)]

    pub struct Connection;
}

use ipc::ipc_service;

#[ipc_service(crate = "ipc")]
trait Counter {
    fn add(&mut self, number: u64) -> u64;
    fn divide(&self, by: u64) -> Result<u64, String>;
    fn pipe(&self) -> std::io::Result<ipc::Handle<std::io::PipeReader>>;
    #[oneway]
    fn reset(&mut self);
}

struct Count(u64);

impl Counter for Count {
    fn add(&mut self, number: u64) -> u64 {
        self.0 += number;
        self.0
    }

    fn divide(&self, by: u64) -> Result<u64, String> {
        self.0.checked_div(by).ok_or_else(|| "by nothing".to_owned())
    }

    fn pipe(&self) -> std::io::Result<ipc::Handle<std::io::PipeReader>> {
        Ok(std::io::pipe()?.0.into())
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(connection) = ipc::Connection::inherited()? {
        return Ok(CounterServer::new(Count(0)).serve(connection)?);
    }
    let counter = CounterClient::spawn(std::process::Command::new(std::env::current_exe()?))?;
    counter.add(40)?;
    println!(
        "{} {} {:?}",
        counter.add(2)?,
        counter.divide(6)?,
        counter.divide(0).map_err(ipc::CallError::service)
    );
    counter.pipe()?;
    counter.reset()?;
    println!("{}", counter.add(1)?);
    Ok(())
}
