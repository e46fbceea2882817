//! The client of the shared trait: spawns the program it is told, or connects to a path.

use std::process::Command;

use api::{MapClient, MapError, Place};
use unix_ipc::CallError;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().ok_or("say how")?;
    let place = arguments.next().ok_or("say where")?;
    let map = match how.as_str() {
        "spawn" => MapClient::spawn(Command::new(place))?,
        _ => MapClient::connect(place)?,
    };
    let stored = Place { name: "home".to_owned(), tiles: vec![3; 100_000] };
    println!("stored: {}", map.store(&stored)?);
    println!("found: {}", map.find("home")? == stored);
    let Err(CallError::Service(MapError::Unknown { tried })) = map.find("nowhere") else {
        return Err("nowhere was found".into());
    };
    println!("tried: {tried}");
    Ok(())
}
