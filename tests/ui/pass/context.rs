//! The context of a call is an argument of the handler alone.

use unix_ipc::{CallContext, ipc_service};

#[ipc_service]
trait Slow {
    fn first(&self, ctx: &CallContext, number: u32) -> u32;
    fn last(&self, number: u32, ctx: &unix_ipc::CallContext) -> Result<u32, String>;
    fn alone(&mut self, _ctx: &CallContext);
    #[oneway]
    fn note(&self, ctx: &CallContext);
}

struct Sloth;

impl Slow for Sloth {
    fn first(&self, ctx: &CallContext, number: u32) -> u32 {
        assert!(!ctx.is_cancelled());
        number
    }
    fn last(&self, number: u32, ctx: &CallContext) -> Result<u32, String> {
        if ctx.time_left().is_none() { Ok(number) } else { Err("hurry".to_owned()) }
    }
    fn alone(&mut self, _ctx: &CallContext) {}
    fn note(&self, _ctx: &CallContext) {}
}

fn main() {
    let client = SlowClient::local(Sloth).unwrap();
    assert_eq!(client.first(1).unwrap(), 1);
    assert_eq!(client.begin_last(2).unwrap().wait().unwrap(), 2);
    client.alone().unwrap();
    client.note().unwrap();

    // By hand, nothing is known of a call.
    let (reply, answer) = unix_ipc::channel().unwrap();
    SlowTask::First { ctx: CallContext::default(), number: 3, reply }.dispatch(&mut Sloth);
    assert_eq!(answer.recv().unwrap(), 3);
}
