//! What the outside sees: MCP over pipes and HTTP.

pub mod files;
pub mod http;
pub mod mcp;
mod plain;
pub mod sse;
