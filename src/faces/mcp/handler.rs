//! One client's conversation.

use std::sync::Arc;

use axum::http::request::Parts as HttpParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ContentBlock,
    DiscoverResult, ErrorData, GetTaskParams, GetTaskResult, Icon, Implementation, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use tablewright_core::Code;
use tablewright_door::Caller;
use tablewright_toolkit::{Called, Conditions, Reply};
use tokio::sync::Semaphore;

use super::{Parts, progress, tasks};

/// What a client is told about the server as a whole; at most 2,000 characters.
pub const INSTRUCTIONS: &str = include_str!("../../../prompts/mcp/instructions.md");

/// The formula reference, made from the function tables.
const REFERENCE_TEXT: &str = include_str!("../../../prompts/shared/formula_reference.md");

/// How long a client may keep lists, in milliseconds. They change only with a restart.
const TTL_MS: u64 = 300_000;
/// Calls of one conversation that run at once; more wait their turn.
const CONCURRENT_CALLS: usize = 64;
/// A small table, drawn.
const ICON: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAxNiAxNiI+PHBhdGggZD0iTTIgM2gxMnYxMEgyeiIgZmlsbD0iI2ZmZiIgc3Ryb2tlPSIjMjQ1IiBzdHJva2Utd2lkdGg9IjEuNSIvPjxwYXRoIGQ9Ik0yIDZoMTJNMiA5LjVoMTJNNiAzdjEwIiBzdHJva2U9IiMyNDUiLz48L3N2Zz4=";

/// Who the calls of a conversation come from.
#[derive(Clone)]
enum Who {
    /// The same for all of them.
    Known(Caller),
    /// Each HTTP request brings its own.
    EachRequest,
}

/// Answers one client.
#[derive(Clone)]
pub struct Handler {
    parts: Arc<Parts>,
    who: Who,
    running: Arc<Semaphore>,
}

impl Handler {
    /// For a client that is `caller` throughout.
    pub fn for_caller(parts: Arc<Parts>, caller: Caller) -> Self {
        Self { parts, who: Who::Known(caller), running: Arc::new(Semaphore::new(CONCURRENT_CALLS)) }
    }

    /// For HTTP, where the entry has put a [`Caller`] into each request.
    pub fn for_requests(parts: Arc<Parts>) -> Self {
        Self { parts, who: Who::EachRequest, running: Arc::new(Semaphore::new(CONCURRENT_CALLS)) }
    }

    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
        match &self.who {
            Who::Known(caller) => Ok(caller.clone()),
            Who::EachRequest => context
                .extensions
                .get::<HttpParts>()
                .and_then(|parts| parts.extensions.get::<Caller>())
                .cloned()
                .ok_or_else(|| ErrorData::internal_error("the request has no caller", None)),
        }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new("tablewright", env!("CARGO_PKG_VERSION"))
            .with_title("Tablewright")
            .with_description("Airtable bases, local and fast, for AI agents")
            .with_icons(vec![Icon::new(ICON).with_mime_type("image/svg+xml").with_sizes(vec!["any".into()])]);
        ServerConfig::new(
            ServerCapabilities::builder().enable_tools().enable_resources().enable_tasks().build(),
        )
        .with_server_info(about)
        .with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.and_then(|r| r.cursor).is_some() {
            return Err(ErrorData::invalid_params("the list has one page: leave cursor out", None));
        }
        let caller = self.caller(&context)?;
        Ok(ListToolsResult::with_all_items(self.parts.offer(caller.rights).tools.clone())
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        if request.and_then(|r| r.cursor).is_some() {
            return Err(ErrorData::invalid_params("the list has one page: leave cursor out", None));
        }
        let reference = Resource::new(FORMULA_REFERENCE, "formula-reference")
            .with_title("Formula reference")
            .with_description("Every function of the formula language with meaning, example and result")
            .with_mime_type("text/markdown");
        Ok(ListResourcesResult::with_all_items(vec![reference])
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != FORMULA_REFERENCE {
            let shown: String = request.uri.chars().take(80).collect();
            let message = format!("there is no resource {shown:?}; there is {FORMULA_REFERENCE}");
            return Err(ErrorData::resource_not_found(message, None));
        }
        let text = ResourceContents::text(REFERENCE_TEXT, FORMULA_REFERENCE).with_mime_type("text/markdown");
        Ok(ReadResourceResult::new(vec![text])
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private)
            .into())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let offer = self.parts.offer(caller.rights);
        let Some(entry) = offer.surface.get(&request.name).cloned() else {
            let shown: String = request.name.chars().take(80).collect();
            self.parts.door.call(caller.clone(), &shown).finish(Some(Code::UnknownTool));
            let known: Vec<&str> = offer.tools.iter().map(|t| &*t.name).collect();
            return Err(ErrorData::invalid_params(
                format!("there is no tool {shown:?} here. Tools: {}", known.join(", ")),
                None,
            ));
        };
        let Ok(_turn) = self.running.acquire().await else {
            return Err(ErrorData::internal_error("the server is stopping", None));
        };
        let given = request.arguments.unwrap_or_default();
        let knows_tasks = context.client_capabilities().is_some_and(|c| c.supports_tasks());
        let conditions = Conditions {
            limits: self.parts.limits,
            cancelled: context.ct.clone(),
            progress: progress::of(&context),
            tasks: knows_tasks.then(|| self.parts.tasks.clone()),
        };
        match entry.call(&self.parts.door, caller.clone(), given, conditions).await {
            Called::Reply(reply) => Ok(wire_result(reply).into()),
            Called::Task(id) => {
                let stored = self.parts.tasks.get(&caller, &id).await.map_err(tasks::error)?;
                Ok(tasks::created(&stored))
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = self.caller(&context)?;
        self.parts.tasks.get(&caller, &request.task_id).await.map(tasks::detailed).map_err(tasks::error)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // No task of ours asks anything; answers to nothing are taken and dropped.
        let caller = self.caller(&context)?;
        self.parts.tasks.get(&caller, &request.task_id).await.map(|_| ()).map_err(tasks::error)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = self.caller(&context)?;
        self.parts.tasks.cancel(&caller, &request.task_id).await.map_err(tasks::error)
    }
}

/// The resource that holds the formula reference.
pub const FORMULA_REFERENCE: &str = "airtable://formula-reference";

/// A reply as it goes over the wire.
pub(super) fn wire_result(reply: Reply) -> CallToolResult {
    let mut content = vec![ContentBlock::text(reply.text)];
    content.extend(reply.image.map(|image| ContentBlock::image(STANDARD.encode(image.bytes), image.kind)));
    let mut result =
        if reply.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = reply.structured;
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn instructions_fit_every_client() {
        assert!(super::INSTRUCTIONS.chars().count() <= 2_000);
    }
}
