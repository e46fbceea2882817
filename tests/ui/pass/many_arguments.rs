//! Clippy is silent about what the trait was allowed, and about the names that it knows better.
#![deny(warnings, clippy::all, clippy::pedantic)]

use std::collections::{HashMap, LinkedList};

use unix_ipc::ipc_service;

#[ipc_service]
#[allow(clippy::all, clippy::pedantic)]
#[allow(non_snake_case)]
trait Many {
    fn many(
        &self,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: bool,
        j: bool,
        k: bool,
        l: bool,
    );
    fn types(
        &self,
        boxed: Box<Vec<u8>>,
        boxes: Vec<Box<u8>>,
        twice: Option<Option<u8>>,
        map: &HashMap<u8, u8>,
    );
    fn more_types(&self, list: LinkedList<u8>, twice: Box<Box<u8>>);
    fn complex(
        &self,
        complex: Vec<(Vec<(u8, Vec<u8>)>, Option<Vec<(u8, Vec<(u8, u8)>)>>, HashMap<u8, Vec<u8>>)>,
    );
    fn references(&self, text: &String, list: &Vec<u8>, small: &u8, optional: &Option<u8>);
    fn len(&self) -> usize;
    fn iter(&self) -> u8;
    fn from_parts(&self, _unused: u8) -> u8;
    fn into_parts(&self) -> u8;
    fn is_open(&mut self) -> bool;
    fn Shouting(&self, LOUD: u8) -> u8;
}

#[ipc_service]
trait Prefixed {
    fn get_one(&self);
    fn get_two(&self);
    fn get_three(&self);
}

fn main() {}
