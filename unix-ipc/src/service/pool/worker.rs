use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::shared::Shared;
use crate::service::service_client::ServiceClient;
use crate::service::task::Task;

/// A worker of a [`Pool`](crate::Pool), which counts as busy with one call more until this is dropped.
///
/// It is the client of that one process: several calls can be begun on it, and those that run into its death fail. They
/// are not made once more, whatever their methods are marked with.
pub struct Worker<'p, C: ServiceClient> {
    shared: &'p Arc<Shared<C>>,
    id: u64,
    client: C,
}

impl<'p, C: ServiceClient> Worker<'p, C> {
    pub(super) fn new(shared: &'p Arc<Shared<C>>, (id, client): (u64, C)) -> Self {
        Self { shared, id, client }
    }

    /// Whether its connection is over: then it is no longer one of the pool's, and is replaced.
    pub(super) fn has_ended(&self) -> bool {
        let ended = self.client.__inner().ended();
        let has_ended = ended.is_some();
        if let Some(ended) = ended {
            self.shared.note_end(self.id, ended);
        }
        has_ended
    }

    /// Has it replaced: it did not answer in time.
    pub(super) fn give_up(&self) {
        self.shared.note_timeout(self.id);
    }
}

impl<C: ServiceClient> Deref for Worker<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.client
    }
}

impl<C: ServiceClient> Drop for Worker<'_, C> {
    fn drop(&mut self) {
        // In a copy of the process nobody may be left who could give a lock back.
        if self.shared.check().is_ok() && !self.has_ended() {
            self.shared.finish(self.id, &self.client);
        }
    }
}

impl<C: ServiceClient> fmt::Debug for Worker<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = <C::Task as Task>::SERVICE;
        f.debug_struct("Worker").field("service", &service).field("id", &self.id).finish_non_exhaustive()
    }
}
