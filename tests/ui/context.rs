use unix_ipc::{CallContext, ipc_service};

#[ipc_service]
trait Slow {
    fn owned(&self, ctx: CallContext);
    fn twice(&self, one: &CallContext, two: &CallContext);
    fn exclusive(&self, ctx: &mut CallContext);
}

fn main() {}
