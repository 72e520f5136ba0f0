//! `serve`

use tablewright_door::{Caller, Rights};

use super::args::{Global, Serve};
use crate::app::{App, data_dir};
use crate::config::Loaded;
use crate::http::Server;
use crate::owner::protocol::Want;
use crate::owner::{Kind, Lock, relay};

impl Serve {
    /// True when this process only passes on what others say.
    pub(super) fn is_relay(&self) -> bool {
        self.http.is_none() && !self.no_daemon
    }

    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let mut settings = self.offer.settings();
        if self.emulate_limits {
            settings.insert("gateway".into(), serde_json::json!({ "emulate_limits": true }));
        }
        let Loaded { config, .. } = global.load(settings)?;
        let directory = data_dir(&config)?;
        let rights: Rights = config.allow;
        if let Some(address) = self.http {
            let server = Server::start(config, &directory, address, self.no_auth).await?;
            if self.no_auth {
                tracing::warn!("--no-auth: every program on this machine can use this server");
            }
            eprintln!("tablewright: serving MCP on {}/mcp", server.url);
            return server.until_told().await;
        }
        // A wrong name is an error of this command, not of the conversation.
        config
            .tools
            .check(&tablewright_tools::registry()?)
            .map_err(|e| crate::exit::Failed::with(crate::exit::Exit::Config, e))?;
        if !self.no_daemon {
            let want = Want::Session { selection: config.tools, rights, limits: config.answers };
            return relay::run(&directory, global.config.as_deref(), want).await;
        }
        let lock = Lock::take_or_say(&directory, Kind::Alone)?;
        let app = App::open(config, &directory).await?;
        let parts = app.parts(&app.config.tools, app.config.answers)?;
        let caller = Caller::local("mcp", rights);
        let stop = app.stop.clone();
        let working = app.start();
        let (input, output) = (crate::owner::stdin(), crate::owner::stdout());
        let told = stop.clone();
        tokio::spawn(async move {
            crate::stop::told_to_stop().await;
            told.cancel();
        });
        tablewright_faces::mcp::pipe::serve(parts, caller, input, output, stop.clone()).await;
        stop.cancel();
        let _ = working.await;
        app.close().await;
        drop(lock);
        Ok(())
    }
}
