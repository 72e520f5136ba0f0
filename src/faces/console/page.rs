//! The pages of the console. Everything from a base or a client is text here, escaped, with hidden
//! characters shown.

use maud::{DOCTYPE, Markup, html};
use serde_json::{Map, Value};
use tablewright_core::model::cell::instant_text;
use tablewright_door::passkeys::StoredPasskey;
use tablewright_door::plans::{PlanStatus, StoredPlan};
use tablewright_door::preview::{Preview, RecordPreview};
use tablewright_toolkit::text::shown;

/// A plan with what a list says of it.
pub(super) struct Row {
    /// The plan.
    pub(super) plan: StoredPlan,
    /// What it would do, in one sentence.
    pub(super) summary: String,
    /// How it stands.
    pub(super) standing: String,
}

/// What a plan's page shows.
pub(super) struct Detail<'a> {
    /// The plan.
    pub(super) plan: &'a StoredPlan,
    /// What it would do; a part of its records.
    pub(super) preview: &'a Preview,
    /// How it stands.
    pub(super) standing: &'a str,
    /// Whether it can still be decided.
    pub(super) is_waiting: bool,
    /// The base's name.
    pub(super) base: &'a str,
    /// The place of the first record that is shown.
    pub(super) from: usize,
    /// Records shown on a page.
    pub(super) page: usize,
    /// Whether approving takes a passkey.
    pub(super) passkey: bool,
    /// What forms send back.
    pub(super) form_key: &'a str,
    /// What went wrong a moment ago.
    pub(super) problem: Option<&'a str>,
}

/// A page. Somebody who is signed in is given by what their forms send back.
pub(crate) fn page(title: &str, signed_in: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Tablewright" }
                link rel="stylesheet" href="/console/style.css";
                script src="/console/passkey.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    strong { "Tablewright" }
                    @if let Some(key) = signed_in {
                        nav aria-label="Console" {
                            a href="/console" { "Approvals" }
                            a href="/console/passkeys" { "Passkeys" }
                            form method="post" action="/console/leave" {
                                input type="hidden" name="form_key" value=(key);
                                button.plain type="submit" { "Sign out" }
                            }
                        }
                    }
                }
                main id="main" tabindex="-1" { (body) }
            }
        }
    }
}

/// A page that says one thing.
pub(crate) fn message(title: &str, text: &str) -> Markup {
    page(title, None, &html! { h1 { (title) } p { (text) } })
}

/// The page after a link was followed. It is a page of its own, for a browser does not send a cookie
/// for this site alone on the way from a link elsewhere.
pub(super) fn entered() -> Markup {
    let way = html! { h1 { "You are signed in" } p { a href="/console" { "Show what waits for approval" } } };
    page("You are signed in", None, &way)
}

/// What waits, and what was decided lately.
pub(super) fn list(waiting: &[Row], decided: &[Row], form_key: &str) -> Markup {
    let body = html! {
        h1 { "Waiting for approval" }
        @if waiting.is_empty() { p { "Nothing waits." } }
        ul.plans { @for row in waiting { (item(row)) } }
        @if !decided.is_empty() {
            h2 { "Lately" }
            ul.plans.past { @for row in decided { (item(row)) } }
        }
    };
    page("Approvals", Some(form_key), &body)
}

fn item(row: &Row) -> Markup {
    let plan = &row.plan;
    html! {
        li {
            a href={ "/console/plans/" (plan.id) } { (row.summary) }
            p { (who(plan)) " · " code { (shown(&plan.author.action)) } }
            p.faint { (time(plan.created_at)) " · " (shown(&row.standing)) }
        }
    }
}

/// A moment as people read it.
fn time(at: i64) -> Markup {
    let text = instant_text(at);
    let read = text.get(..16).unwrap_or_default().replace('T', " ");
    html! { time datetime=(text) { (read) " UTC" } }
}

fn who(plan: &StoredPlan) -> String {
    match &*plan.author.client {
        "" => shown(&plan.author.principal),
        client => format!("{} ({})", shown(client), shown(&plan.author.principal)),
    }
}

/// One plan: who wants what, before and after, and the buttons.
pub(super) fn plan(detail: &Detail<'_>) -> Markup {
    let Detail { plan, preview, .. } = detail;
    let body = html! {
        p { a href="/console" { "← All approvals" } }
        h1 { (preview.summary) }
        @if let Some(problem) = detail.problem { p.problem role="alert" { (shown(problem)) } }
        dl {
            dt { "Who" } dd { (who(plan)) }
            dt { "With" } dd { code { (shown(&plan.author.action)) } }
            dt { "Base" } dd { (shown(detail.base)) }
            dt { "Asked" } dd { (time(plan.created_at)) }
            dt { "Lapses" } dd { (time(plan.expires_at)) }
            @for reason in &plan.reasons { dt { "Why" } dd { (shown(reason)) } }
            @if preview.cost.requests > 0 {
                dt { "Takes" } dd { (preview.cost.requests) " requests to Airtable, about " (preview.cost.seconds) " s" }
            }
            dt { "Now" } dd { "It " (shown(detail.standing)) "." }
        }
        @for warning in &preview.warnings { p.warning { strong { "Look twice: " } (shown(warning)) } }
        @for line in &preview.schema { p.change { (shown(line)) } }
        @for line in &preview.comments { p.change { (shown(line)) } }
        @for refused in &preview.refused {
            p.warning { "Record " (refused.index) " would be refused: " (shown(&refused.message)) }
        }
        @for record in &preview.records { (change(record)) }
        @if preview.more_records > 0 || detail.from > 0 { (pages(detail)) }
        @if !preview.computed.is_empty() {
            h2 { "What follows" }
            ul { @for field in &preview.computed {
                li { (shown(&field.field)) " in " (shown(&field.table)) ": " (field.records) " records" }
            } }
        }
        @if detail.is_waiting { (decide(detail)) }
    };
    page(&preview.summary, Some(detail.form_key), &body)
}

fn pages(detail: &Detail<'_>) -> Markup {
    let shown = detail.preview.records.len();
    let all = detail.from + shown + detail.preview.more_records;
    html! {
        nav.pages aria-label="Records" {
            @if detail.from > 0 {
                a href={ "?from=" (detail.from.saturating_sub(detail.page)) } { "← Earlier" }
            }
            span { "Records " (detail.from + 1) " to " (detail.from + shown) " of " (all) }
            @if detail.preview.more_records > 0 { a href={ "?from=" (detail.from + shown) } { "Later →" } }
        }
    }
}

fn decide(detail: &Detail<'_>) -> Markup {
    html! {
        form.decide method="post" action={ "/console/plans/" (detail.plan.id) }
            data-passkey[detail.passkey] data-asks={ "/console/plans/" (detail.plan.id) "/passkey" } {
            input type="hidden" name="form_key" value=(detail.form_key);
            input type="hidden" name="answer";
            label for="note" { "A note for whoever asked (optional)" }
            textarea id="note" name="note" rows="2" maxlength="2000" {}
            @if detail.passkey { p.faint { "Approving asks for your passkey." } }
            p.buttons {
                button.yes type="submit" name="decision" value="approve" { "Approve" }
                button.no type="submit" name="decision" value="reject" { "Reject" }
            }
            p.problem role="alert" hidden {}
        }
    }
}

fn change(record: &RecordPreview) -> Markup {
    let (word, sign) = match record.change {
        "create" => ("New record", "+"),
        "delete" => ("Deleted record", "−"),
        _ => ("Changed record", "±"),
    };
    let empty = Map::new();
    let (before, after) = (record.before.as_ref().unwrap_or(&empty), record.after.as_ref().unwrap_or(&empty));
    let mut fields: Vec<&String> = before.keys().chain(after.keys()).collect();
    let mut seen = std::collections::HashSet::new();
    fields.retain(|field| seen.insert(*field));
    html! {
        table class=(record.change) {
            caption {
                span.sign aria-hidden="true" { (sign) } " " (word) " in " (shown(&record.table))
                @if let Some(id) = &record.id { " " code { (shown(id)) } }
            }
            thead { tr { th scope="col" { "Field" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody {
                @for field in fields {
                    tr {
                        th scope="row" { (shown(field)) }
                        td data-label="Before" { del { (cell(before.get(field))) } }
                        td data-label="After" { ins { (cell(after.get(field))) } }
                    }
                }
            }
        }
    }
}

fn cell(value: Option<&Value>) -> Markup {
    match value {
        None | Some(Value::Null) => html! { span.faint { "(empty)" } },
        Some(Value::String(text)) => html! { (shown(text)) },
        Some(other) => html! { code { (shown(&other.to_string())) } },
    }
}

/// The passkeys, and a form to add one.
pub(super) fn passkeys(keys: &[StoredPasskey], form_key: &str, problem: Option<&str>) -> Markup {
    let body = html! {
        h1 { "Passkeys" }
        p { "With a passkey you show that it is you who approves. Where the settings say "
            code { "approval.passkey = true" } ", what a person has to approve is approved here alone, with one." }
        @if let Some(problem) = problem { p.problem role="alert" { (shown(problem)) } }
        @if keys.is_empty() { p { "There is none yet." } }
        ul.plans { @for key in keys { li {
            strong { (shown(&key.name)) }
            p.faint { "added " (time(key.created_at))
                @if let Some(used) = key.used_at { ", used last " (time(used)) } }
        } } }
        form.passkeys method="post" action="/console/passkeys" data-known=(keys.len()) {
            input type="hidden" name="form_key" value=(form_key);
            input type="hidden" name="answer";
            label for="name" { "Name of a new passkey" }
            input id="name" name="name" required maxlength="60" autocomplete="off";
            @if !keys.is_empty() { p.faint { "First you show one you have, then the new one is made." } }
            p.buttons {
                button.yes type="submit" { "Add" }
                @if !keys.is_empty() {
                    button.no type="submit" formaction="/console/passkeys/remove" { "Remove the one of this name" }
                }
            }
            p.problem role="alert" hidden {}
        }
    };
    page("Passkeys", Some(form_key), &body)
}

/// Whether a plan is still to be decided at `now`.
pub(super) fn is_waiting(plan: &StoredPlan, now: i64) -> bool {
    plan.status == PlanStatus::Waiting && plan.expires_at > now
}
