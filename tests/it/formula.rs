//! The formula language: cases as data, laws, computed fields, the command line.

mod batch;
mod cases;
mod compute;
mod differential;
mod escaper;
mod laws;
mod limits;
