//! The words everything else is written in: ids, schemas, cell values, faults.
//!
//! Pure: no files, no network, no environment, no clock of its own.
#![deny(clippy::disallowed_methods)]

pub mod civil;
pub mod clock;
pub mod fault;
pub mod model;
pub mod secret;
pub mod strict;
pub mod suggest;

pub use fault::{Code, Fault, Refused};
