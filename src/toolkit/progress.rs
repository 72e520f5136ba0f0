//! How far a call is, told to whoever waits for it.

use std::future::Future;
use std::pin::Pin;

/// Told how much of a call is done. A face implements it for its clients.
pub trait Progress: Send + Sync {
    /// `done` of `total` records are done; `done` only grows.
    fn report(&self, done: u64, total: u64) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Nobody waits for news.
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: u64, _: u64) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
