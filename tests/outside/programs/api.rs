//! A trait that a client and a server share, with types of its own.

use std::fmt;

use serde::{Deserialize, Serialize};
use unix_ipc::ipc_service;

/// A place on a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub name: String,
    pub tiles: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapError {
    Unknown { tried: u32 },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unknown { tried } = self;
        write!(f, "none of {tried} places")
    }
}

#[ipc_service]
pub trait Map {
    fn find(&self, name: &str) -> Result<Place, MapError>;
    fn store(&self, place: &Place) -> u32;
}
