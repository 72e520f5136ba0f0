//! What the outside sees: MCP over pipes and HTTP.

pub mod http;
pub mod mcp;
mod plain;
pub mod sse;
