//! A server with the tools, prompts and resources the conformance suite asks for, on our HTTP entry.

use std::sync::{Arc, Mutex};

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
    CompletionInfo, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, task_manager::TaskManager};
use tablewright_door::Rights;
use tablewright_faces::http::streamable::mcp;
use tablewright_faces::http::{Entry, Guard, Options, Shutdown, router, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

use super::{asking, content, listing, rounds, tasks};

/// A running server; it ends when this is dropped.
pub struct Running {
    pub url: String,
    _runtime: Runtime,
}

/// Starts the server on a free port, without tokens: the suite cannot send any.
pub fn start() -> Running {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let options = Options::default();
    let guard = Guard::new(options.clone(), Entry::Anyone, Rights::default());
    let shutdown = Shutdown::default();
    let shared = Arc::new(Shared::default());
    let face = mcp(move || Fixture::new(shared.clone()), Arc::new(|_| None), &guard, &shutdown);
    runtime.spawn(serve(listener, router(&guard, [face]), options, None, shutdown));
    Running { url, _runtime: runtime }
}

/// What a test has changed in the lists of the server.
#[derive(Clone, Copy)]
pub enum Change {
    Tools,
    Prompts,
}

/// What all conversations and requests have in common.
pub struct Shared {
    pub changes: broadcast::Sender<Change>,
    pub rounds: rounds::States,
    pub tasks: TaskManager,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            changes: broadcast::channel(16).0,
            rounds: rounds::States::default(),
            tasks: TaskManager::new(),
        }
    }
}

struct Fixture {
    shared: Arc<Shared>,
    /// Listens from before the acknowledgement of a subscription, so that no change is missed.
    heard: Mutex<Option<broadcast::Receiver<Change>>>,
}

impl Fixture {
    fn new(shared: Arc<Shared>) -> Self {
        let heard = Mutex::new(Some(shared.changes.subscribe()));
        Self { shared, heard }
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("conformance-fixture", "1"))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        listing::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(listing::tools()))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(listing::prompts()))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(listing::resources()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(listing::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        content::read(&request.uri).map(ReadResourceResponse::from)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == rounds::PROMPT {
            return rounds::prompt(&request, &context);
        }
        let given = request.arguments.unwrap_or_default();
        content::prompt(&request.name, &given).map(GetPromptResponse::from)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = request.argument.value;
        let fitting: Vec<String> =
            ["paris", "park", "party"].iter().filter(|v| v.starts_with(&begun)).map(|&v| v.into()).collect();
        let values = CompletionInfo::with_all_values(fitting)
            .map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(values))
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        content::watched(&request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        content::watched(&request.uri)
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let heard = self.heard.lock().unwrap().take();
        let mut heard = heard.unwrap_or_else(|| self.shared.changes.subscribe());
        let sink = context.sink();
        loop {
            let change = tokio::select! {
                change = heard.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            // What the client has not asked for is refused by the sink.
            let _ = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.arguments.clone().unwrap_or_default();
        let name = &*request.name;
        if let Some(result) = content::call(name, &given) {
            return Ok(result.into());
        }
        if let Some(result) = asking::call(name, &given, &context).await {
            return result.map(CallToolResponse::from);
        }
        if let Some(result) = tasks::call(&self.shared, &request, &context).await {
            return result;
        }
        if let Some(result) = rounds::call(&self.shared.rounds, &request, &context) {
            return result;
        }
        let change = match name {
            "test_trigger_tool_change" => Change::Tools,
            "test_trigger_prompt_change" => Change::Prompts,
            _ => return Err(ErrorData::invalid_params(format!("there is no tool {name:?}"), None)),
        };
        // Nobody may be listening.
        let _ = self.shared.changes.send(change);
        Ok(content::said("changed").into())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }
}
