//! `disconnect`

use super::args::Global;
use super::base::{LEFT, administer};
use crate::admin::{Command, logins};
use crate::output::{say, shown};

pub(super) async fn run(global: &Global, name: String, forget: bool) -> anyhow::Result<()> {
    let command = logins::Command::Remove { name: name.clone(), forget };
    let done = administer(global, Command::Logins { command }).await?;
    if global.json {
        return say(&done);
    }
    let bases = done["forgotten"].as_array().map_or(0, Vec::len);
    if bases > 0 {
        say(format_args!("removed the copies of {bases} bases; in Airtable they are as they were"))?;
    }
    for why in done["webhooksLeft"].as_array().into_iter().flatten().filter_map(|why| why.as_str()) {
        say(format_args!("{LEFT}: {}", shown(why)))?;
    }
    say(format_args!(
        "forgot the login {}; its token stays valid until you delete it at https://airtable.com/create/tokens",
        shown(&name)
    ))
}
