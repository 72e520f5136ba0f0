//! One client's conversation.

use std::sync::Arc;

use axum::http::request::Parts as HttpParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, ContentBlock, CustomRequest, CustomResult, DiscoverResult,
    ErrorData, Extensions, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Icon,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use tablewright_core::Code;
use tablewright_core::model::RecordId;
use tablewright_door::Caller;
use tablewright_toolkit::registry::error_reply;
use tablewright_toolkit::{Called, Conditions, Reply, text};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::subscriptions::{self, Subscriptions};
use super::{Parts, ask, completion, pages, progress, prompts, resources, tasks, unread};

/// What a client is told about the server as a whole; at most 2,000 characters.
pub const INSTRUCTIONS: &str = include_str!("../../../prompts/mcp/instructions.md");

/// How long a client may keep lists, in milliseconds. They change only with a restart.
pub(super) const TTL_MS: u64 = 300_000;
/// Calls of one conversation that run at once; more wait their turn.
const CONCURRENT_CALLS: usize = 64;
/// The header that names a conversation over HTTP.
const SESSION_HEADER: &str = "mcp-session-id";
/// Characters of a program's name that are kept.
const MAX_CLIENT: usize = 100;
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
    subscriptions: Arc<Subscriptions>,
    /// Cancelled when the conversation is about to end.
    closing: CancellationToken,
    /// What stands for the conversation in the change log and the audit log.
    session: Arc<str>,
}

impl Handler {
    /// For a client that is `caller` throughout. Once `closing` is cancelled, requests that
    /// listen are answered.
    pub fn for_caller(parts: Arc<Parts>, caller: Caller, closing: CancellationToken) -> Self {
        Self::new(parts, Who::Known(caller), closing)
    }

    /// For HTTP, where the entry has put a [`Caller`] into each request.
    pub fn for_requests(parts: Arc<Parts>) -> Self {
        let closing = parts.stop().clone();
        Self::new(parts, Who::EachRequest, closing)
    }

    fn new(parts: Arc<Parts>, who: Who, closing: CancellationToken) -> Self {
        let running = Arc::new(Semaphore::new(CONCURRENT_CALLS));
        let subscriptions = Arc::new(Subscriptions::new(matches!(who, Who::EachRequest)));
        let session = RecordId::random().body().into();
        Self { parts, who, running, subscriptions, closing, session }
    }

    /// Who calls a tool, with which program, in which conversation.
    fn caller_of(&self, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
        let mut caller = self.caller(&context.extensions)?;
        if let Some(client) = context.client_info() {
            caller.client = program_name(&client.name, &client.version).into();
        }
        let in_session = match &self.who {
            Who::Known(_) => true,
            Who::EachRequest => context
                .extensions
                .get::<HttpParts>()
                .is_some_and(|parts| parts.headers.contains_key(SESSION_HEADER)),
        };
        if in_session {
            caller.session = self.session.clone();
        }
        Ok(caller)
    }

    fn caller(&self, extensions: &Extensions) -> Result<Caller, ErrorData> {
        match &self.who {
            Who::Known(caller) => Ok(caller.clone()),
            Who::EachRequest => extensions
                .get::<HttpParts>()
                .and_then(|parts| parts.extensions.get::<Caller>())
                .cloned()
                .ok_or_else(|| ErrorData::internal_error("the request has no caller", None)),
        }
    }
}

impl Handler {
    /// Waits until this conversation may do one more thing at once.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, ErrorData> {
        self.running.acquire().await.map_err(|_| ErrorData::internal_error("the server is stopping", None))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new("tablewright", env!("CARGO_PKG_VERSION"))
            .with_title("Tablewright")
            .with_description("Airtable bases, local and fast, for AI agents")
            .with_icons(vec![Icon::new(ICON).with_mime_type("image/svg+xml").with_sizes(vec!["any".into()])]);
        let can = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tasks()
            .enable_tools();
        ServerConfig::new(can.build()).with_server_info(about).with_instructions(INSTRUCTIONS)
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
        let caller = self.caller(&context.extensions)?;
        let offer = self.parts.offer(caller.rights);
        let policies = self.parts.door().policies();
        let usable = offer.tools.iter().filter(|tool| policies.lets_use(&caller, &tool.name));
        let usable: Vec<Tool> = usable.cloned().collect();
        let (tools, next) = pages::page("tools", &usable, request.as_ref(), |tool| &tool.name)?;
        let mut result =
            ListToolsResult::with_all_items(tools).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
        result.next_cursor = next;
        Ok(result)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let (caller, _turn) = (self.caller(&context.extensions)?, self.turn().await?);
        resources::list(&self.parts, caller, request.as_ref()).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        resources::templates(&self.caller(&context.extensions)?, request.as_ref())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let (caller, _turn) = (self.caller(&context.extensions)?, self.turn().await?);
        resources::read(&self.parts, caller, &request.uri).await.map(Into::into)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        prompts::list(&self.parts, request.as_ref())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let (caller, _turn) = (self.caller(&context.extensions)?, self.turn().await?);
        prompts::get(&self.parts, caller, request).await.map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let (caller, _turn) = (self.caller(&context.extensions)?, self.turn().await?);
        completion::complete(&self.parts, caller, request).await
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        // From here on the client hears of new and vanished resources.
        if let Ok(caller) = self.caller(&context.extensions)
            && let Err(fault) = self.subscriptions.open(&self.parts, &caller, &context.peer)
        {
            tracing::debug!(%fault, "a client does not hear of changes");
        }
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (caller, _turn) = (self.caller(&context.extensions)?, self.turn().await?);
        self.subscriptions.subscribe(&self.parts, caller, &context.peer, &request.uri).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.unsubscribe(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(subscriptions::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let caller = self.caller(&context.request_context().extensions)?;
        subscriptions::listen(&self.parts, caller, context, &self.closing).await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller_of(&context)?;
        let offer = self.parts.offer(caller.rights);
        let Some(entry) = offer.surface.get(&request.name).cloned() else {
            let shown = text::shown(&request.name.chars().take(80).collect::<String>()).replace('\n', " ");
            self.parts.door().call(caller.clone(), &shown).finish(Some(Code::UnknownTool));
            let known: Vec<&str> = offer.tools.iter().map(|t| &*t.name).collect();
            return Err(ErrorData::invalid_params(
                format!("there is no tool \"{shown}\" here. Tools: {}", known.join(", ")),
                None,
            ));
        };
        let _turn = self.turn().await?;
        if let Some(fault) = ask::take_answer(self.parts.door().plans(), &caller, &request).await? {
            self.parts.door().call(caller, &request.name).finish(Some(fault.code));
            return Ok(wire_result(error_reply(&fault)).into());
        }
        let given = request.arguments.unwrap_or_default();
        let knows_tasks = context.client_capabilities().is_some_and(|c| c.supports_tasks());
        let conditions = Conditions {
            limits: self.parts.limits,
            cancelled: context.ct.clone(),
            progress: progress::of(&context),
            tasks: self.parts.tasks().clone(),
            knows_tasks,
            ask: Arc::new(ask::Person::of(&context)),
            surface: offer.surface.clone(),
        };
        match entry.call(self.parts.door(), caller.clone(), given, conditions).await {
            Called::Reply(reply) => Ok(wire_result(reply).into()),
            Called::Task(id) => {
                let stored = self.parts.tasks().get(&caller, &id).await.map_err(tasks::error)?;
                Ok(tasks::created(&stored))
            }
            Called::Ask(plan, question) => {
                Ok(CallToolResponse::InputRequired(ask::to_be_asked(plan, &question)))
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = self.caller(&context.extensions)?;
        self.parts.tasks().get(&caller, &request.task_id).await.map(tasks::detailed).map_err(tasks::error)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // No task of ours asks anything; answers to nothing are taken and dropped.
        let caller = self.caller(&context.extensions)?;
        self.parts.tasks().get(&caller, &request.task_id).await.map(|_| ()).map_err(tasks::error)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = self.caller(&context.extensions)?;
        self.parts.tasks().cancel(&caller, &request.task_id).await.map_err(tasks::error)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let newer = context.protocol_version().is_some_and(|v| v >= ProtocolVersion::V_2026_07_28);
        Err(unread::refuse(&request, &self.get_info().capabilities, newer))
    }
}

/// A program's name and version on one line, no longer than a log has room for.
fn program_name(name: &str, version: &str) -> String {
    let plain = format!("{name}/{version}");
    plain.chars().filter(|c| !c.is_control()).take(MAX_CLIENT).collect()
}

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
