//! All integration tests: the real binary, real SQLite, real clients.

#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod airtable_client;
mod attachments;
mod audit;
mod bad_input;
mod base_files;
mod budgets;
mod cli;
mod clients;
mod cloud;
mod cloud_gateway;
mod conformance;
mod connect;
mod crash;
mod design_laws;
mod disk_full;
mod engine;
mod faults;
mod formula;
mod fuzz;
mod generated;
mod guide;
mod hostile;
mod http;
mod http_limits;
mod install;
mod long_writes;
mod mcp_clients;
mod mcp_surface;
mod outbox;
mod owner;
mod plans;
mod replica;
mod rest;
mod rest_bad_input;
mod rest_clients;
mod schema_edits;
mod sse;
mod stdio;
mod support;
mod tidy;
mod tools;
mod undo;
mod upstream;
mod webhooks;
