//! `console`

use super::args::Global;
use super::base::administer;
use crate::admin::Command;
use crate::output::say;

pub(super) async fn run(global: &Global, open: bool) -> anyhow::Result<()> {
    let answer = administer(global, Command::Console).await?;
    let link = answer["link"].as_str().unwrap_or_default();
    if global.json {
        return say(&answer);
    }
    if open && open::that_detached(link).is_ok() {
        return say("the console opens in your browser");
    }
    say(link)
}
