//! The libraries, a file each.

mod floor;
mod iceoryx2;
mod ipc_channel;
mod original;
mod remoc;
mod tarpc;
mod this;

use crate::contender::Contender;

pub(crate) const ALL: [Contender; 7] = [
    floor::CONTENDER,
    this::CONTENDER,
    iceoryx2::CONTENDER,
    ipc_channel::CONTENDER,
    original::CONTENDER,
    remoc::CONTENDER,
    tarpc::CONTENDER,
];
