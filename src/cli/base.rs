//! `base …`

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tablewright_core::model::BaseId;
use tablewright_core::model::schema::find_base;

use super::args::{Base, Global};
use super::progress::bars;
use crate::admin;
use crate::app::data_dir;
use crate::output::{say, shown};
use crate::owner::background::Owned;
use crate::owner::{Kind, Lock, relay};

/// Does `command` here, or has the owner of the data directory do it.
pub async fn administer(global: &Global, command: admin::Command) -> anyhow::Result<Value> {
    let loaded = global.load(Default::default())?;
    let directory = data_dir(&loaded.config)?;
    let (bar, progress) = bars();
    let result = match Lock::take(&directory, Kind::Foreground)? {
        Some(lock) => {
            let owned = Owned::start(loaded.config, &directory, lock, Kind::Foreground).await?;
            let result = admin::run(&owned.app, command, progress).await;
            owned.end().await;
            result.map_err(anyhow::Error::from)
        }
        None => relay::admin(&directory, global.config.as_deref(), command, progress).await,
    };
    bar.finish_and_clear();
    result
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) async fn run(global: &Global, command: Base) -> anyhow::Result<()> {
    match command {
        Base::Import { file } => {
            let done = administer(global, admin::Command::Import { file: absolute(&file)? }).await?;
            if global.json {
                say(&done)?;
            } else {
                say(format_args!(
                    "imported {:?} ({}): {} tables, {} records",
                    text(&done, "name"),
                    text(&done, "id"),
                    done["tables"],
                    done["records"]
                ))?;
                say_files(&done, "came with it")?;
                let kept: Vec<&str> =
                    done["notComputed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                if !kept.is_empty() {
                    say(format_args!(
                        "{} fields cannot be worked out and keep the values of the file: {}",
                        kept.len(),
                        shown(&kept.join(", "))
                    ))?;
                }
            }
        }
        Base::Export { base, output, force } => {
            let file = output.unwrap_or_else(|| {
                let safe: String =
                    base.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).take(80).collect();
                PathBuf::from(format!("{safe}.json"))
            });
            let done =
                administer(global, admin::Command::Export { base, file: absolute(&file)?, force }).await?;
            if global.json {
                say(&done)?;
            } else {
                say(format_args!(
                    "exported {:?}: {} records to {}",
                    text(&done, "name"),
                    done["records"],
                    file.display()
                ))?;
                say_files(&done, "lie beside it")?;
            }
        }
        Base::List => {
            let listed = administer(global, admin::Command::ListBases).await?;
            if global.json {
                say(&listed)?;
            } else if let Some(bases) = listed.as_array() {
                for base in bases {
                    let lives = match base["profile"].as_str() {
                        Some(profile) => format!("in Airtable, read with {profile}"),
                        None => "here".to_owned(),
                    };
                    say(format_args!(
                        "{}  {}  ({} tables, {} records; lives {lives})",
                        text(base, "id"),
                        crate::output::shown(text(base, "name")),
                        base["tables"],
                        base["records"]
                    ))?;
                }
                if bases.is_empty() {
                    say(
                        "no bases; import one with `tablewright base import FILE`, or copy one with `tablewright connect`",
                    )?;
                }
            }
        }
        Base::Delete { base, yes } => {
            if !yes {
                is_there(global, &base).await?;
            }
            if !yes && !confirm(&format!("Delete base {base:?} and everything in it?"))? {
                anyhow::bail!("nothing was deleted; say --yes to delete without being asked");
            }
            let done = administer(global, admin::Command::DeleteBase { base }).await?;
            if global.json { say(&done)? } else { say(format_args!("deleted {:?}", text(&done, "name")))? }
        }
        Base::Erase { base, record, yes } => {
            if !yes && !confirm(&format!("Erase what is left of record {record:?}?"))? {
                anyhow::bail!("nothing was erased; say --yes to erase without being asked");
            }
            let done = administer(global, admin::Command::EraseRecord { base, record }).await?;
            if global.json {
                say(&done)?;
            } else {
                let (erased, record) = (&done["erased"], text(&done, "record"));
                say(format_args!(
                    "erased what was left of {record}: in {} changes, {} plans, {} tasks, {} payloads and {} comments",
                    erased["changes"],
                    erased["plans"],
                    erased["tasks"],
                    erased["payloads"],
                    erased["comments"]
                ))?;
            }
        }
        Base::Forget { base, yes } => {
            if !yes {
                is_there(global, &base).await?;
            }
            if !yes && !confirm(&format!("Remove the copy of base {base:?} from this machine?"))? {
                anyhow::bail!("nothing was removed; say --yes to remove without being asked");
            }
            let command = admin::logins::Command::Forget { base };
            let done = administer(global, admin::Command::Logins { command }).await?;
            if global.json {
                say(&done)?;
            } else {
                say(format_args!(
                    "removed the copy of {:?}; in Airtable it is as it was",
                    text(&done, "name")
                ))?;
                if let Some(why) = done["webhookLeft"].as_str() {
                    say(format_args!("{LEFT}: {}", shown(why)))?;
                }
            }
        }
    }
    Ok(())
}

/// What became of the files of a base.
fn say_files(done: &Value, how: &str) -> anyhow::Result<()> {
    if done["files"] != 0 {
        say(format_args!("{} files {how}", done["files"]))?;
    }
    let missing: Vec<&str> =
        done["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        say(format_args!(
            "{} files are missing; their cells stay as they are: {}",
            done["filesMissing"],
            shown(&missing.join(", "))
        ))?;
    }
    Ok(())
}

/// What is said when the webhook of a copy stayed.
pub const LEFT: &str = "its webhook could not be removed there and ends on its own within a week";

/// A name that is not there is the first thing to say.
async fn is_there(global: &Global, base: &str) -> anyhow::Result<()> {
    let listed = administer(global, admin::Command::ListBases).await?;
    let known: Vec<(BaseId, String)> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|b| Some((text(b, "id").parse().ok()?, text(b, "name").to_owned())))
        .collect();
    find_base(&known, base)?;
    Ok(())
}

fn confirm(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    write!(std::io::stderr(), "{question} Type yes: ")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
