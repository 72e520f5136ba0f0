//! Tablewright: an Airtable engine for AI agents.

#![allow(unreachable_pub, reason = "a program has no outside; pub means: for its other modules")]

mod admin;
mod app;
mod cli;
mod config;
mod exit;
mod http;
mod output;
mod owner;
mod stop;
mod telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Before any HTTP client is made: the TLS library has no provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run()
}
