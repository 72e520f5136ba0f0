//! Clients that want to hear of changes: subscriptions of the older era, which last as long as
//! the conversation, and listen requests of the newer one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    ErrorData, PingRequest, ResourceUpdatedNotification, ResourceUpdatedNotificationParam,
    ServerNotification, ServerRequest, SubscriptionFilter,
};
use rmcp::service::{PeerRequestOptions, SubscriptionContext, SubscriptionSink};
use rmcp::{Peer, RoleServer};
use tablewright_core::{Code, Fault};
use tablewright_door::{Call, Caller};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::watch::{Listener, MAX_WATCHED, News};
use super::{Parts, refusals, resources};

/// What a conversation of the older era has subscribed to.
pub(super) struct Subscriptions {
    open: Mutex<Option<Open>>,
    over_http: bool,
}

struct Open {
    listener: Arc<Listener>,
    /// Over when the token that it was opened with is.
    passing_on: JoinHandle<()>,
    /// Ends the passing on of news with the conversation.
    _ends: DropGuard,
}

impl Subscriptions {
    /// None yet; `over_http` when the conversation ends by itself while nothing is said.
    pub(super) fn new(over_http: bool) -> Self {
        Self { open: Mutex::default(), over_http }
    }

    /// The listener of this conversation with `peer`; from now on the client hears of new and
    /// vanished resources.
    pub(super) fn open(
        &self,
        parts: &Parts,
        caller: &Caller,
        peer: &Peer<RoleServer>,
    ) -> Result<Arc<Listener>, Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| !open.passing_on.is_finished()) {
            return Ok(open.listener.clone());
        }
        let listener = Arc::new(parts.watch().listener(caller, caller.rights.describe)?);
        let ends = CancellationToken::new();
        let (news, peer, ended, over_http) = (listener.clone(), peer.clone(), ends.clone(), self.over_http);
        let passing_on = tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = pass_on(&news, &peer) => {}
                () = keep_open(&news, &peer), if over_http => {}
            }
        });
        *open = Some(Open { listener: listener.clone(), passing_on, _ends: ends.drop_guard() });
        Ok(listener)
    }

    /// What `resources/subscribe` does.
    pub(super) async fn subscribe(
        &self,
        parts: &Parts,
        caller: Caller,
        peer: &Peer<RoleServer>,
        uri: &str,
    ) -> Result<(), ErrorData> {
        let mut call = parts.door().call(caller.clone(), "resources/subscribe");
        let done = async { follow(&mut call, &*self.open(parts, &caller, peer)?, uri).await };
        let done: Result<(), Fault> = done.await;
        call.finish(done.as_ref().err().map(|fault| fault.code));
        done.map_err(|fault| refusals::of_arguments(&fault))
    }

    /// What `resources/unsubscribe` does.
    pub(super) fn unsubscribe(&self, uri: &str) {
        if let Some(open) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            open.listener.unwatch(uri);
        }
    }
}

/// Has a listener watch what is at `uri`, if its client may read it. What is not there, or not any
/// more, counts as changed: the client finds out when it reads it.
async fn follow(call: &mut Call, listener: &Listener, uri: &str) -> Result<(), Fault> {
    let Some(address) = Address::parse(uri) else {
        listener.tell(uri);
        return Ok(());
    };
    if let Some(need) = resources::need(&address) {
        call.caller().rights.require(need)?;
    }
    match resources::find(call, &address).await {
        // What never changes is never told of.
        Ok(None) => {}
        Ok(Some(found)) => {
            let place = found.place();
            if place.base().is_none() && call.policies().concern(call.caller()) {
                let message = "what you see of the list of bases is bound by your workspaces or a policy, so it cannot be subscribed to; read it again.";
                return Err(Fault::new(Code::Forbidden, message));
            }
            if let Some(base) = place.base()
                && call.sees_part_of(base).await?
            {
                let message = "the policy does not let you see all of this base, so its resources cannot be subscribed to; use wait_for_changes.";
                return Err(Fault::new(Code::Forbidden, message));
            }
            listener.watch(uri, place).await?;
        }
        Err(_) => listener.tell(uri),
    }
    Ok(())
}

/// Passes news on to a client of the older era until it is gone.
async fn pass_on(listener: &Listener, peer: &Peer<RoleServer>) {
    while let Some(News { updated, list }) = listener.news().await {
        for uri in updated {
            let params = ResourceUpdatedNotificationParam::new(&*uri);
            let notification = ResourceUpdatedNotification::new(params);
            let notification = ServerNotification::ResourceUpdatedNotification(notification);
            if peer.send_notification(notification).await.is_err() {
                return;
            }
        }
        if list && peer.notify_resource_list_changed().await.is_err() {
            return;
        }
    }
}

/// How often a client that listens is asked whether it is there. Conversations over HTTP end when
/// nothing is said for five minutes.
const PING_EVERY: Duration = Duration::from_secs(120);
/// How long it may take to say so.
const PING_PATIENCE: Duration = Duration::from_secs(30);

/// Keeps a conversation over HTTP open while its client waits for changes and answers.
async fn keep_open(listener: &Listener, peer: &Peer<RoleServer>) {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        if !listener.is_watching() {
            continue;
        }
        let options = PeerRequestOptions::with_timeout(PING_PATIENCE);
        let ping = ServerRequest::PingRequest(PingRequest::default());
        let answer = match peer.send_request_with_option(ping, options).await {
            Ok(asked) => asked.await_response().await,
            Err(error) => Err(error),
        };
        if let Err(error) = answer {
            // The conversation ends unless the client says something.
            tracing::debug!(%error, "a client that listens does not answer");
            return std::future::pending().await;
        }
    }
}

/// The part of a filter that this server acts on: addresses of ours, up to a bound, and the list
/// of resources. Tools and prompts stay as they are.
pub(super) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = SubscriptionFilter::new();
    accepted.resources_list_changed = requested.resources_list_changed;
    accepted.resource_subscriptions = requested.resource_subscriptions.as_ref().map(|uris| {
        let mut ours: Vec<String> = Vec::new();
        for uri in uris {
            if ours.len() < MAX_WATCHED && !ours.contains(uri) && Address::parse(uri).is_some() {
                ours.push(uri.clone());
            }
        }
        ours
    });
    accepted
}

/// What `subscriptions/listen` does, until the client cancels it or `closing`.
pub(super) async fn listen(
    parts: &Parts,
    caller: Caller,
    context: SubscriptionContext,
    closing: &CancellationToken,
) -> Result<(), ErrorData> {
    let mut call = parts.door().call(caller.clone(), "subscriptions/listen");
    let opened = open(parts, &mut call, &caller, context.accepted()).await;
    call.finish(opened.as_ref().err().map(|fault| fault.code));
    let listener = opened.map_err(|fault| refusals::of_arguments(&fault))?;
    tokio::select! {
        () = context.cancelled() => {}
        () = closing.cancelled() => {}
        () = pass_on_tagged(&listener, context.sink()) => {}
    }
    Ok(())
}

async fn open(
    parts: &Parts,
    call: &mut Call,
    caller: &Caller,
    accepted: &SubscriptionFilter,
) -> Result<Listener, Fault> {
    let list = accepted.resources_list_changed == Some(true) && caller.rights.describe;
    let listener = parts.watch().listener(caller, list)?;
    for uri in accepted.resource_subscriptions.iter().flatten() {
        follow(call, &listener, uri).await?;
    }
    Ok(listener)
}

/// Passes news on to a listen request until its client is gone.
async fn pass_on_tagged(listener: &Listener, sink: &SubscriptionSink) {
    while let Some(News { updated, list }) = listener.news().await {
        for uri in updated {
            if sink.notify_resource_updated(&*uri).await.is_err() {
                return;
            }
        }
        if list && sink.notify_resource_list_changed().await.is_err() {
            return;
        }
    }
}
