//! The server of the shared trait, at a path or for whoever spawned it.

use std::sync::{Mutex, PoisonError};

use api::{Map, MapError, MapServer, Place};
use unix_ipc::{Connection, Listener};

#[derive(Default)]
struct Atlas(Mutex<Vec<Place>>);

impl Map for Atlas {
    fn find(&self, name: &str) -> Result<Place, MapError> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = places.iter().find(|place| place.name == name).cloned();
        found.ok_or(MapError::Unknown { tried: places.len() as u32 })
    }

    fn store(&self, place: &Place) -> u32 {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(place.clone());
        places.len() as u32
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = MapServer::new(Atlas::default());
    if let Some(connection) = Connection::inherited()? {
        return Ok(server.workers(2).serve(connection)?);
    }
    let path = std::env::args().nth(1).ok_or("say where to listen")?;
    let listener = Listener::bind(path)?;
    println!("listening");
    Ok(server.workers(2).listen(&listener)?)
}
