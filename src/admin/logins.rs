//! Commands about logins at Airtable and the bases that are read with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{Base, BaseId, TableId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::profiles::{Kind, Profile, Returned, revealed};
use tablewright_engine::airtable::{Ask, Error, ListQuery, ListedBase, Session};

use tokio::time::{Instant, timeout_at};

use crate::app::App;

/// What to do with logins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "login", rename_all = "snake_case")]
pub enum Command {
    /// All logins.
    List,
    /// Keep a personal token, if Airtable accepts it.
    AddToken {
        /// What it is called here.
        name: String,
        /// The token.
        #[serde(serialize_with = "revealed")]
        token: Secret,
        /// Although other logins are sealed with another key.
        new_key: bool,
    },
    /// Keep a login that a person went through.
    AddOauth {
        /// What it is called here.
        name: String,
        /// What came back.
        returned: Returned,
        /// Although other logins are sealed with another key.
        new_key: bool,
    },
    /// A login and the bases it grants.
    Show {
        /// Its name.
        name: String,
    },
    /// Copy bases of a login.
    Copy {
        /// Its name.
        name: String,
        /// Names, ids or URLs.
        bases: Vec<String>,
        /// Every base the login grants.
        all: bool,
        /// Tables of the one base by name or id; all when there are none.
        tables: Vec<String>,
    },
    /// Forget a login.
    Remove {
        /// Its name.
        name: String,
        /// Forget the bases that are read with it too.
        forget: bool,
    },
    /// Forget the copy of a base.
    Forget {
        /// Name, id or URL.
        base: String,
    },
    /// Look whether every login works.
    Check,
}

impl Command {
    /// What it is called in the audit log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::List => "connect list",
            Self::AddToken { .. } => "connect token",
            Self::AddOauth { .. } => "connect oauth",
            Self::Show { .. } => "connect show",
            Self::Copy { .. } => "connect",
            Self::Remove { .. } => "disconnect",
            Self::Forget { .. } => "base forget",
            Self::Check => "doctor",
        }
    }
}

/// A login with the bases it grants, as `--json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The login.
    pub profile: Profile,
    /// The bases it grants.
    pub grants: Vec<Granted>,
}

/// A base that a login grants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// Its id.
    pub id: BaseId,
    /// What people see.
    pub name: String,
    /// `none`, `read`, `comment`, `edit` or `create`.
    pub permission_level: String,
    /// True when there is a copy of it here.
    pub is_here: bool,
}

fn to_json(value: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|e| Fault::new(Code::Internal, e.to_string()))
}

fn ask() -> Ask {
    Ask::interactive("cli")
}

pub(super) async fn run(app: &App, command: Command) -> Result<Value, Fault> {
    match command {
        Command::List => to_json(app.profiles.list().await?),
        Command::AddToken { name, token, new_key } => {
            let profile = app.profiles.add_token(&name, token, new_key).await?;
            to_json(show(app, profile).await?)
        }
        Command::AddOauth { name, returned, new_key } => {
            let profile = app.profiles.add_oauth(&name, returned, new_key).await?;
            to_json(show(app, profile).await?)
        }
        Command::Show { name } => {
            let profile = app.profiles.recognize(&name).await?;
            to_json(show(app, profile).await?)
        }
        Command::Copy { name, bases, all, tables } => copy(app, &name, &bases, all, &tables).await,
        Command::Remove { name, forget: and_bases } => {
            let (mut forgotten, mut left) = (Vec::new(), Vec::new());
            if and_bases {
                for (base, _) in app.replica.bases().into_iter().filter(|(_, cloud)| cloud.profile == name) {
                    left.extend(app.replica.forget(base, "local").await?);
                    forgotten.push(base);
                }
            }
            app.profiles.remove(&name).await?;
            Ok(json!({ "disconnected": name, "forgotten": forgotten, "left": left }))
        }
        Command::Forget { base } => {
            let (id, name) = find_base(&app.engine.bases(), &base)?.clone();
            if !app.replica.holds(id) {
                let message = format!(
                    "{name:?} lives here and nowhere else; `tablewright base delete` deletes it for good"
                );
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            let left = app.replica.forget(id, "local").await?;
            Ok(json!({ "forgotten": id, "name": name, "left": left }))
        }
        Command::Check => check(app).await,
    }
}

async fn show(app: &App, profile: Profile) -> Result<Shown, Fault> {
    let granted = app.profiles.session(&profile.name).await?.bases(&ask()).await?;
    let here = app.engine.bases();
    let grants = granted.into_iter().map(|ListedBase { id, name, permission_level }| Granted {
        is_here: here.iter().any(|(held, _)| *held == id),
        id,
        name,
        permission_level,
    });
    Ok(Shown { profile, grants: grants.collect() })
}

/// Copies bases of a login, one after the other; what was begun before one is refused stays.
async fn copy(
    app: &App,
    login: &str,
    wanted: &[String],
    all: bool,
    tables: &[String],
) -> Result<Value, Fault> {
    let session = app.profiles.session(login).await?;
    let granted = session.bases(&ask()).await?;
    let pairs: Vec<(BaseId, String)> = granted.into_iter().map(|base| (base.id, base.name)).collect();
    let mut chosen: Vec<&(BaseId, String)> = Vec::new();
    if all {
        chosen.extend(&pairs);
    }
    for name in wanted {
        let found = find_base(&pairs, name).map_err(|fault| match pairs.is_empty() {
            true => Fault::new(Code::UnknownBase, format!("the login {login:?} grants no base")),
            false => fault.within(format_args!("the login {login:?}")),
        })?;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    // All of it is looked at before any of it is begun.
    for (base, name) in &chosen {
        let held = app.engine.bases().iter().any(|(id, _)| id == base);
        if held && !app.replica.holds(*base) {
            let message = format!(
                "a base of the id of {name:?} ({base}) lives here already; export and delete it first, or use another --data-dir"
            );
            return Err(Fault::new(Code::Conflict, message));
        }
    }
    let choice = match (chosen.as_slice(), tables) {
        (_, []) => None,
        ([(base, name)], wanted) => Some(choose(&session, *base, name, wanted).await?),
        _ => {
            let message = "--table chooses tables of one base; name that base alone with --base";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
    };
    let mut copied = Vec::new();
    let mut already = Vec::new();
    for (base, name) in chosen {
        let entry = json!({ "id": base, "name": name });
        let held = app.replica.login_of(*base);
        // One that is held gets this login or another choice of tables, if that was asked for.
        let same = held.as_ref().is_some_and(|other| all || other == login) && choice.is_none();
        if same {
            already.push(entry);
        } else {
            app.replica.add(login, *base, name, choice.clone()).await?;
            copied.push(entry);
        }
    }
    Ok(json!({ "profile": login, "copied": copied, "already": already }))
}

async fn choose(
    session: &Session,
    base: BaseId,
    name: &str,
    wanted: &[String],
) -> Result<Vec<TableId>, Fault> {
    let tables = session.schema(&ask(), base).await?.value;
    let schema = Base { id: base, name: name.to_owned(), tables };
    let mut chosen = Vec::new();
    for table in wanted {
        let found = schema.table(table)?.id;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// How long looking at all logins may take.
const CHECK_TIME: Duration = Duration::from_secs(15);
/// Bases of one login that are looked at.
const CHECK_BASES: usize = 20;
/// How far the clocks may be apart, in milliseconds.
const CLOCK_SLACK: i64 = 60_000;

/// What was found out about a login: `ok`, `warning` or `failed`, each with words.
#[derive(Default)]
struct Findings {
    failed: Vec<String>,
    warnings: Vec<String>,
    fine: Vec<String>,
}

impl Findings {
    /// What an error means: that Airtable is far away is no fault of the login.
    fn note(&mut self, what: &str, error: Error) {
        match error {
            Error::NotSent(_) | Error::Unanswered(_) | Error::Unread(_) | Error::RateLimited { .. } => {
                self.warnings.push(format!("{what}: {error}"));
            }
            _ => self.failed.push(format!("{what}: {error}")),
        }
    }
}

async fn check(app: &App) -> Result<Value, Fault> {
    let listed = app.profiles.list().await?;
    let until = Instant::now() + CHECK_TIME;
    let mut checks = Vec::with_capacity(listed.len());
    for profile in &listed {
        let mut findings = Findings::default();
        if timeout_at(until, look(app, profile, &mut findings)).await.is_err() {
            let message = format!(
                "Airtable could not be reached, or not be asked everything, within {} s",
                CHECK_TIME.as_secs()
            );
            findings.warnings.push(message);
        }
        let state = match (findings.failed.is_empty(), findings.warnings.is_empty()) {
            (false, _) => "failed",
            (true, false) => "warning",
            (true, true) => "ok",
        };
        let says = [findings.failed, findings.warnings, findings.fine].concat().join("; ");
        checks.push(json!({ "name": profile.name, "state": state, "says": says }));
    }
    let known = |login: &str| listed.iter().any(|profile| profile.name == login);
    for (base, cloud) in app.replica.bases().into_iter().filter(|(_, cloud)| !known(&cloud.profile)) {
        let login = cloud.profile;
        let says = format!(
            "{base} is read with it, and there is no such login: `tablewright connect --name {login}` makes it"
        );
        checks.push(json!({ "name": login, "state": "failed", "says": says }));
    }
    Ok(Value::Array(checks))
}

async fn look(app: &App, profile: &Profile, findings: &mut Findings) {
    let session = match app.profiles.session(&profile.name).await {
        Ok(session) => session,
        Err(fault) => return findings.failed.push(fault.message),
    };
    let mut scopes = profile.info.scopes.clone();
    match session.whoami(&ask()).await {
        Ok(answer) => {
            let who = answer.value;
            findings.fine.push(format!("accepted as {}", who.email.unwrap_or(who.id)));
            scopes = who.scopes.or(scopes);
            let apart = answer.server_time.map(|time| app.engine.clock().now_ms() - time);
            if let Some(apart) = apart.filter(|apart| apart.abs() > CLOCK_SLACK) {
                findings.warnings.push(format!(
                    "the clock of this machine is {} s {} Airtable's; set it",
                    apart.abs() / 1_000,
                    if apart > 0 { "before" } else { "behind" }
                ));
            }
        }
        Err(error) => return findings.note("whoami", error),
    }
    if let Some(scopes) = &scopes {
        let lacks = |wanted: &str| !scopes.iter().any(|scope| scope == wanted);
        for needed in ["schema.bases:read", "data.records:read"] {
            if lacks(needed) {
                findings.failed.push(format!("the scope {needed} is missing: its bases cannot be copied"));
            }
        }
        if lacks("webhook:manage") {
            let message = "the scope webhook:manage is missing: changes are asked for instead of told";
            findings.warnings.push(message.into());
        }
    }
    for base in profile.bases.iter().take(CHECK_BASES) {
        look_at_base(&session, *base, scopes.is_none(), findings).await;
    }
    if profile.bases.len() > CHECK_BASES {
        findings.fine.push(format!("{} more bases were not looked at", profile.bases.len() - CHECK_BASES));
    }
    let most = app.config.airtable.monthly_calls;
    let calls = profile.calls;
    if most > 0 && calls * 5 >= most * 4 {
        findings.warnings.push(format!("{calls} of this month's {most} calls are used"));
    } else if most > 0 {
        findings.fine.push(format!("{calls} of {most} calls this month"));
    } else {
        findings.fine.push(format!("{calls} calls this month"));
    }
}

/// Whether a base can be read; with `probe`, what Airtable does not tell of the token's scopes is
/// tried out.
async fn look_at_base(session: &Session, base: BaseId, probe: bool, findings: &mut Findings) {
    let tables = match session.schema(&ask(), base).await {
        Ok(answer) => answer.value,
        Err(error) => return findings.note(&format!("{base} (its schema)"), error),
    };
    let Some(table) = tables.first() else { return findings.fine.push(format!("{base} is reached")) };
    let one = ListQuery { page_size: 1, max_records: Some(1), ..ListQuery::default() };
    match session.list(&ask(), base, &table.id.to_string(), &one).await {
        Ok(_) => findings.fine.push(format!("{base} is reached")),
        Err(error) => return findings.note(&format!("{base} (its records)"), error),
    }
    if !probe {
        return;
    }
    match session.list_webhooks(&ask(), base).await {
        Ok(_) => {}
        Err(Error::Forbidden { .. }) => findings.warnings.push(format!(
            "{base}: webhooks are not allowed (scope webhook:manage): changes are asked for instead of told"
        )),
        Err(error) => findings.note(&format!("{base} (its webhooks)"), error),
    }
}

/// What a login of this kind is called.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "token",
        Kind::Oauth => "oauth",
        Kind::Environment => "AIRTABLE_API_KEY",
    }
}
