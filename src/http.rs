//! `serve --http`: a foreground owner with an HTTP entry.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tablewright_door::Oauth;
use tablewright_faces::gateway::{self, Gateway};
use tablewright_faces::http::streamable::mcp;
use tablewright_faces::http::{Entry, Guard, Needs, Shutdown, Tls, check_address, router, serve};
use tablewright_faces::mcp::handler::Handler;
use tablewright_faces::sse;
use tablewright_faces::{airtable, files, invitation};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::owner::background::Owned;
use crate::owner::{Kind, relay};

/// Listens on `address`; the error says what is wrong with it.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let message = format!("cannot listen on {address}: {e}; choose another port, or 0 for any free one");
        Failed::with(Exit::Address, message)
    })
}

/// Files this program has open beside its connections: databases, the socket, its clients.
const OTHER_FILES: u64 = 1_024;

/// Lets this process have `connections` open; systems often start with fewer than they allow.
fn allow_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    // No limit at all is written as none.
    let Some(now) = limit.current.filter(|now| *now < wanted) else { return };
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    let have = if raised.is_ok() { most } else { now };
    if have < wanted {
        tracing::warn!(
            "this process may open {have} files; raise the limit to {wanted}, or lower http.max_connections"
        );
    }
}

/// How a client on this machine reaches `address` by `http` or `https`.
fn reachable(scheme: &str, address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}", v4.port()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => format!("{scheme}://[::1]:{}", v6.port()),
        listening => format!("{scheme}://{listening}"),
    }
}

/// How a person on this machine reaches it: passkeys are for names, not for numbers.
fn by_name(scheme: &str, address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        return format!("{scheme}://localhost:{}", address.port());
    }
    reachable(scheme, address)
}

/// An owner that serves HTTP and the socket.
pub struct Server {
    /// What it holds.
    pub owned: Owned,
    /// Where it listens, such as `http://127.0.0.1:8787`.
    pub url: String,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Takes the data directory (a background owner makes way) and starts to listen.
    pub async fn start(
        config: Config,
        directory: &Path,
        address: SocketAddr,
        no_auth: bool,
    ) -> anyhow::Result<Self> {
        if no_auth {
            check_address(address, &Entry::Anyone).map_err(|e| Failed::with(Exit::Config, e))?;
        }
        let tls = match (&config.http.tls_certificate, &config.http.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::open(certificate, key).map_err(|e| Failed::with(Exit::Config, e))?)
            }
            _ => None,
        };
        let listener = bind(address).await?;
        allow_files(config.http.max_connections);
        let lock = relay::take_over(directory).await?;
        let owned = Owned::start(config, directory, lock, Kind::Foreground).await?;
        let Config { allow, tools, http, answers, gateway, oauth, fetch, .. } = owned.app.config.clone();
        let (scheme, listening) = (http.scheme(), listener.local_addr()?);
        let public_url = http.public_url.clone().unwrap_or_else(|| reachable(scheme, listening));
        let entry = if no_auth {
            Entry::Anyone
        } else {
            let clock = owned.app.engine.clock().clone();
            let oauth = Oauth::new(&oauth, &fetch, &public_url, clock)
                .map_err(|e| Failed::with(Exit::Config, format!("oauth: {e}")))?;
            Entry::Tokens(owned.app.tokens.clone(), oauth)
        };
        let parts = owned.app.parts(&tools, answers)?;
        let offered = parts.clone();
        let needs: Needs = Arc::new(move |tool| offered.need(tool, allow));
        let shutdown = Shutdown::on(owned.stop.clone());
        let guard = Guard::new(http.clone(), entry, allow);
        let old = parts.clone();
        let faces = [
            files::router(owned.app.files.clone()),
            owned.app.console.clone().router(),
            invitation::router(owned.app.door.clone()),
            airtable::router(owned.app.door.clone()),
            mcp(move || Handler::for_requests(parts.clone()), needs, &guard, &shutdown),
            sse::router(
                move |caller| Handler::for_caller(old.clone(), caller, old.stop().clone()),
                &guard,
                &shutdown,
            ),
            gateway::router(Arc::new(Gateway::new(
                owned.app.door.clone(),
                owned.app.webhooks.clone(),
                guard.clone(),
                &gateway,
            ))),
        ];
        let routes = router(&guard, faces);
        let pages = http.public_url.clone().unwrap_or_else(|| by_name(scheme, listening));
        owned.app.console.set_origin(&pages);
        owned.app.tokens.directory().set_origin(&pages);
        owned.app.files.set_public_url(&public_url);
        let url = format!("{scheme}://{listening}");
        let serving = tokio::spawn(serve(listener, routes, http, tls, shutdown));
        Ok(Self { owned, url, serving })
    }

    /// Serves until Ctrl-C or SIGTERM.
    pub async fn until_told(self) -> anyhow::Result<()> {
        crate::stop::told_to_stop().await;
        self.end().await
    }

    /// Lets running requests end, closes the store and lets the directory go.
    pub async fn end(self) -> anyhow::Result<()> {
        self.owned.stop.cancel();
        let served = self.serving.await;
        self.owned.end().await;
        served??;
        Ok(())
    }
}
