//! Hearing of changes by a webhook. Its payloads are read from time to time; nobody has to be able
//! to reach this machine.
//!
//! A payload says which records changed; what they are now is fetched, so hearing of a change
//! twice does no harm. What may have been missed is listed again.

use serde_json::{Value, json};
use tablewright_core::Fault;
use tablewright_core::model::{RecordId, TableId, WebhookId};

use super::held::{Held, Seen};
use super::state::{Hook, State};
use super::take::TableDelta;
use crate::airtable::{Error, Payload, Session};

/// Pages of payloads read in one turn; the next turn goes on.
const PAGES: usize = 100;
/// How long until a webhook is tried again where it was refused, in milliseconds.
const AGAIN_AFTER: i64 = 24 * 3_600_000;
/// How often Airtable is asked whether the webhook still works, in milliseconds: one that does not
/// may just have nothing to tell.
const CHECK_EVERY: i64 = 5 * 60_000;
/// How long payloads are kept by Airtable, in milliseconds.
const KEPT: i64 = 7 * 24 * 3_600_000;

/// True when there is a webhook to read from; makes one where that is allowed.
pub(crate) async fn has_hook(held: &Held, session: &Session) -> Result<bool, Fault> {
    let _alone = held.hooking.lock().await;
    let state = held.state().await;
    let now = held.now();
    if let Some(hook) = state.hook {
        // Payloads nobody read in time are gone.
        if now - state.as_of < KEPT || now - hook.made_at < KEPT {
            if state.alarm_due {
                held.note(|state| state.alarm(now)).await?;
            }
            if now - hook.checked_at < CHECK_EVERY || works(held, session, &hook).await? {
                return Ok(true);
            }
        }
        renew(held).await?;
    }
    if !held.options.webhooks || now < state.hook_again_at {
        return Ok(false);
    }
    match find_or_make(held, session, now).await {
        Ok(hook) => {
            held.note(|state| {
                state.hook = Some(hook);
                // What changed before it was there is not told by it.
                state.schema_due = true;
                // What was deleted since the last listing is not told by it.
                if state.no_hook.take().is_some() {
                    state.list_all();
                }
            })
            .await?;
            Ok(true)
        }
        Err(error @ (Error::Refused(_) | Error::Forbidden { .. })) => {
            let why = error.to_string();
            tracing::info!(base = %held.base, why, "no webhook; changes are looked for in the tables");
            held.note(|state| {
                state.no_hook = Some(why);
                state.hook_again_at = now + AGAIN_AFTER;
            })
            .await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the webhook is still there and in order.
async fn works(held: &Held, session: &Session, hook: &Hook) -> Result<bool, Fault> {
    let now = held.now();
    let listed = session.list_webhooks(&held.ask(), held.base).await?.value;
    let own = listed.into_iter().find(|listed| listed.id.to_string() == hook.id);
    if own.as_ref().is_some_and(|own| own.is_hook_enabled && own.expires.is_none_or(|at| at > now)) {
        held.remember(|state| {
            if let Some(hook) = &mut state.hook {
                hook.checked_at = now;
            }
        })
        .await;
        return Ok(true);
    }
    tracing::warn!(base = %held.base, "the webhook has stopped working; everything is listed again");
    if let Some(own) = own {
        let _ = session.delete_webhook(&held.ask(), held.base, own.id).await;
    }
    Ok(false)
}

/// What is heard of.
const DATA_TYPES: [&str; 3] = ["tableData", "tableFields", "tableMetadata"];

/// True for a specification that hears of everything and nothing else: such as ours.
fn hears_all(specification: &Value) -> bool {
    let options = &specification["options"];
    let Some(filters) = options["filters"].as_object() else { return false };
    let narrower = filters.iter().any(|(key, value)| key != "dataTypes" && !value.is_null());
    let types = filters.get("dataTypes").and_then(Value::as_array);
    let all = types.is_some_and(|types| DATA_TYPES.iter().all(|wanted| types.iter().any(|t| t == wanted)));
    all && !narrower
}

/// The webhook of before whose making was not heard of, or a new one. Airtable has room for few.
async fn find_or_make(held: &Held, session: &Session, now: i64) -> Result<Hook, Error> {
    let hook = |id: WebhookId, cursor| Hook {
        id: id.to_string(),
        cursor,
        transaction: None,
        made_at: now,
        checked_at: now,
    };
    let listed = session.list_webhooks(&held.ask(), held.base).await?.value;
    let left = listed.into_iter().find(|listed| {
        listed.is_hook_enabled && listed.notification_url.is_none() && hears_all(&listed.specification)
    });
    if let Some(left) = left {
        return Ok(hook(left.id, left.cursor_for_next_payload.max(1)));
    }
    // No list of fields: a webhook that names one that is deleted goes silent for good.
    let specification = json!({ "options": { "filters": { "dataTypes": DATA_TYPES } } });
    let made = session.create_webhook(&held.ask(), held.base, None, &specification).await?;
    Ok(hook(made.value.id, 1))
}

/// Lets go of a webhook that cannot be relied on any more; everything is listed again.
async fn renew(held: &Held) -> Result<(), Fault> {
    held.note(|state| {
        state.hook = None;
        state.list_all();
    })
    .await
}

/// Reads what the webhook has to tell.
pub(crate) async fn read(held: &Held, session: &Session) -> Result<(), Fault> {
    for _ in 0..PAGES {
        let Some(hook) = held.state().await.hook else { return Ok(()) };
        let Ok(id) = hook.id.parse::<WebhookId>() else { return renew(held).await };
        let asking = held.asking();
        let answer = match session.payloads(&held.ask(), held.base, id, hook.cursor).await {
            Ok(answer) => answer.value,
            Err(error @ (Error::Refused(_) | Error::Forbidden { .. })) => {
                tracing::warn!(base = %held.base, %error, "the webhook is gone; everything is listed again");
                let _ = session.delete_webhook(&held.ask(), held.base, id).await;
                return renew(held).await;
            }
            Err(error) => return Err(error.into()),
        };
        if answer.payloads.iter().any(|payload| payload.error) {
            tracing::warn!(base = %held.base, "the webhook is broken; everything is listed again");
            let _ = session.delete_webhook(&held.ask(), held.base, id).await;
            return renew(held).await;
        }
        let more = answer.might_have_more && answer.cursor > hook.cursor;
        let news = News::of(&answer.payloads);
        if answer.cursor != hook.cursor || !answer.payloads.is_empty() {
            let now = held.now();
            let (gone, changed) = (news.gone, news.changed);
            let tables =
                gone.into_iter().map(|(table, gone)| TableDelta { table, records: Vec::new(), gone });
            let seen = Seen::fetched(asking.number, tables.collect());
            let counted = i64::try_from(answer.payloads.len()).unwrap_or(i64::MAX);
            held.take(seen, |state| {
                for (table, records) in changed {
                    state.mark(table, records, now);
                }
                state.schema_due |= news.schema;
                // Numbers that do not add up: some payloads were not given.
                if answer.cursor - hook.cursor != counted {
                    state.list_all();
                }
                count(state, &answer.payloads, now);
                if let Some(hook) = &mut state.hook {
                    hook.cursor = answer.cursor.max(hook.cursor);
                }
            })
            .await?;
        }
        if !more {
            break;
        }
    }
    Ok(())
}

/// Looks whether the numbers of transactions have a gap.
fn count(state: &mut State, payloads: &[Payload], now: i64) {
    let Some(mut last) = state.hook.as_ref().map(|hook| hook.transaction) else { return };
    let mut jumped = false;
    for number in payloads.iter().filter_map(|payload| payload.base_transaction_number) {
        jumped |= last.is_some_and(|last| number > last + 1);
        last = last.max(Some(number));
    }
    if jumped {
        state.alarm(now);
    }
    if let Some(hook) = &mut state.hook {
        hook.transaction = last;
    }
}

/// What payloads say, put together.
#[derive(Default)]
struct News {
    changed: Vec<(TableId, Vec<RecordId>)>,
    gone: Vec<(TableId, Vec<RecordId>)>,
    schema: bool,
}

impl News {
    fn of(payloads: &[Payload]) -> Self {
        let mut news = Self::default();
        for payload in payloads {
            for (table, touched) in payload.touched() {
                news.schema |= touched.schema;
                if !touched.changed.is_empty() {
                    // A record that was deleted and came back is fetched.
                    news.gone.iter_mut().filter(|(id, _)| *id == table).for_each(|(_, gone)| {
                        gone.retain(|id| !touched.changed.contains(id));
                    });
                    news.changed.push((table, touched.changed));
                }
                if !touched.destroyed.is_empty() {
                    news.changed.iter_mut().filter(|(id, _)| *id == table).for_each(|(_, changed)| {
                        changed.retain(|id| !touched.destroyed.contains(id));
                    });
                    news.gone.push((table, touched.destroyed));
                }
            }
        }
        news
    }
}

/// Deletes the webhook in Airtable.
pub(crate) async fn remove(held: &Held, hook: &Hook) -> Result<(), Fault> {
    let session = held.session().await?;
    if let Ok(id) = hook.id.parse::<WebhookId>() {
        session.delete_webhook(&held.ask(), held.base, id).await?;
    }
    Ok(())
}
