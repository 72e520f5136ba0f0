//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_engine::store::audit::Asked;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::journal::{moment, named};

/// Lines of a page when none is asked for, and the most.
const USUAL: u32 = 50;
const MOST: u32 = 500;

/// One call.
#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    number: i64,
    at: String,
    by: String,
    face: String,
    /// The tool, command or endpoint.
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// Base and table.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Ids of records.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<String>>,
    /// ok, or the code of the error.
    outcome: String,
    microseconds: i64,
    /// Sent to Airtable.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<i64>,
    /// Records created or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<i64>,
    /// Records deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<i64>,
}

/// Answer of `query_audit_log`.
#[derive(Debug, Serialize, JsonSchema)]
struct Lines {
    /// Newest first.
    lines: Vec<Line>,
    /// Call again with before = this for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// `query_audit_log`
pub struct QueryAuditLog;

/// Arguments of `query_audit_log`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditArgs {
    /// Who: local, token:NAME.
    by: Option<String>,
    /// A tool, command or endpoint.
    tool: Option<String>,
    /// ok, or the code of an error.
    outcome: Option<String>,
    /// The id of a base, table or record.
    about: Option<String>,
    /// ISO moment.
    since: Option<String>,
    /// ISO moment.
    until: Option<String>,
    /// 1 to 500; 50 when absent.
    limit: Option<u32>,
    /// Only lines with a smaller number.
    before: Option<i64>,
}

impl Tool for QueryAuditLog {
    const NAME: &'static str = "query_audit_log";
    type Args = AuditArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Lines>())
    }

    async fn run(context: &mut CallContext, args: AuditArgs) -> Result<Answer, Fault> {
        let limit = args.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            let message = format!("limit must be 1 to {MOST}, not {limit}.");
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let asked = Asked {
            principal: args.by,
            action: args.tool,
            outcome: args.outcome,
            about: args.about,
            since: moment(&context.call, "since", args.since.as_deref())?,
            until: moment(&context.call, "until", args.until.as_deref())?,
            before: args.before,
        };
        let mut held = context.call.audit_lines(&asked, limit + 1).await?;
        let more = held.len() > limit as usize;
        held.truncate(limit as usize);
        let next = held.last().map(|line| line.seq).filter(|_| more);
        let lines = held
            .into_iter()
            .map(|line| Line {
                number: line.seq,
                at: instant_text(line.at),
                by: line.principal,
                face: line.face,
                tool: line.action,
                client: named(&line.client),
                session: named(&line.session),
                call: line.call,
                plan: line.plan,
                target: named(&line.target),
                records: named(&line.records).map(|ids| ids.split(' ').map(str::to_owned).collect()),
                outcome: line.outcome,
                microseconds: line.duration_us,
                requests: some(line.upstream),
                written: some(line.written),
                deleted: some(line.deleted),
            })
            .collect();
        Ok(Answer::Structured(serde_json::to_value(Lines { lines, next }).unwrap_or_default()))
    }
}

fn some(count: i64) -> Option<i64> {
    (count != 0).then_some(count)
}
