//! What the outside sees: MCP over pipes and HTTP, and Airtable's Web API.

pub mod airtable;
pub mod console;
pub mod files;
pub mod gateway;
pub mod http;
pub mod invitation;
pub mod mcp;
mod plain;
pub mod sse;
