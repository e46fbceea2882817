//! The service that the tests call.

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

use unix_ipc::{Connection, Handle, Receiver, ServeError, ipc_service};

use crate::util::Holdings;

#[ipc_service]
pub(crate) trait Worker {
    fn double(&self, number: u64) -> u64;
    fn echo(&self, bytes: Vec<u8>) -> Vec<u8>;
    /// Answers when the gate's senders are gone.
    fn wait(&self, gate: Receiver<()>) -> u32;
    /// What is left to read in the file once the gate is open.
    fn read(&self, gate: Receiver<()>, file: Handle<File>) -> String;
    #[oneway]
    fn note(&self, number: u64);
    fn notes(&self) -> Vec<u64>;
    fn holdings(&self) -> usize;
}

#[derive(Default)]
pub(crate) struct Diligent {
    notes: Mutex<Vec<u64>>,
}

impl Worker for Diligent {
    fn double(&self, number: u64) -> u64 {
        2 * number
    }

    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn wait(&self, gate: Receiver<()>) -> u32 {
        let _ = gate.recv();
        7
    }

    fn read(&self, gate: Receiver<()>, file: Handle<File>) -> String {
        let _ = gate.recv();
        let mut text = String::new();
        file.into_inner().read_to_string(&mut text).expect("the file can be read");
        text
    }

    fn note(&self, number: u64) {
        self.notes.lock().expect("nobody panics with it").push(number);
    }

    fn notes(&self) -> Vec<u64> {
        self.notes.lock().expect("nobody panics with it").clone()
    }

    fn holdings(&self) -> usize {
        Holdings::now().descriptor_count()
    }
}

pub(crate) fn serve(connection: Connection) -> Result<(), ServeError> {
    WorkerServer::new(Diligent::default()).serve(connection)
}
