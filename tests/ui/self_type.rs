use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc: Clone + Iterator {
    fn argument(&self, other: &Self);
    fn returned(&self) -> Option<Self>;
    fn associated(&self) -> Vec<Self::Item>;
    fn projected(&self, item: <Self as Iterator>::Item);
}

fn main() {}
