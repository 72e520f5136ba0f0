//! Where the browser comes back to after a login: one answer on this machine's own address.

use std::io::{IsTerminal, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tablewright_core::secret::Secret;
use tablewright_engine::airtable::oauth::{Authorization, Integration};
use tablewright_engine::airtable::profiles::Returned;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::exit::{Exit, Failed};

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The path of the address that is registered.
const PATH: &str = "/callback";

/// An answer of the browser, and where its page goes.
type Visit = (String, oneshot::Sender<Result<(), String>>);

/// Has a person log in with the browser.
pub(super) async fn log_in(integration: &Integration, port: u16) -> anyhow::Result<Returned> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| {
        Failed::with(Exit::Address, format!("cannot listen on 127.0.0.1:{port} for the browser: {e}"))
    })?;
    let port = listener.local_addr()?.port();
    // Airtable lets integrations come back to this name without HTTPS.
    let redirect = format!("http://localhost:{port}{PATH}");
    let begun = Authorization::begin(integration, &redirect)?;
    // Results alone go to standard output.
    writeln!(std::io::stderr(), "Open this address to log in at Airtable:\n\n  {}\n", begun.url)?;
    if std::io::stderr().is_terminal() && open::that_detached(&begun.url).is_err() {
        writeln!(std::io::stderr(), "(no browser could be opened; do it yourself)")?;
    }
    let code = tokio::time::timeout(PATIENCE, answer(listener, &begun))
        .await
        .map_err(|_| anyhow::anyhow!("nobody logged in within ten minutes; begin again"))??;
    Ok(Returned { code, verifier: begun.verifier, redirect: begun.redirect })
}

/// Waits for the one visit that counts; whatever it holds, there is no second one.
async fn answer(listener: TcpListener, begun: &Authorization) -> anyhow::Result<Secret> {
    let (sender, mut visits) = mpsc::channel::<Visit>(1);
    let (done, ended) = oneshot::channel::<()>();
    let router = Router::new().route(PATH, get(visit)).with_state(sender);
    let serving = tokio::spawn(async move {
        let stop = async { drop(ended.await) };
        let _ = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    });
    let (query, page) = visits.recv().await.context("the address the browser comes back to is gone")?;
    visits.close();
    let code = begun.code(&query);
    let _ = page.send(code.as_ref().map(drop).map_err(ToString::to_string));
    let _ = done.send(());
    // Its page goes out before this program goes on.
    let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
    Ok(code?)
}

async fn visit(State(visits): State<mpsc::Sender<Visit>>, RawQuery(query): RawQuery) -> Response {
    let (page, shown) = oneshot::channel();
    let (status, text) = match visits.try_send((query.unwrap_or_default(), page)) {
        Ok(()) => match shown.await {
            Ok(Ok(())) => {
                (StatusCode::OK, "You are back from Airtable. You can close this window.".to_owned())
            }
            Ok(Err(why)) => (StatusCode::BAD_REQUEST, format!("{why}. You can close this window.")),
            Err(_) => (StatusCode::GONE, "This login is over. You can close this window.".to_owned()),
        },
        Err(_) => (StatusCode::GONE, "This login is over. You can close this window.".to_owned()),
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONNECTION, "close"),
    ];
    (status, headers, text).into_response()
}
