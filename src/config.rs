//! Configuration: flags over `TABLEWRIGHT_*` over a TOML file over defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::secret::Secret;
use tablewright_door::Rights;
use tablewright_engine::airtable::profiles::Given;
use tablewright_toolkit::Selection;
use tablewright_toolkit::arguments::in_plain_words;

use crate::telemetry;

/// Every setting. Sections are tables of the file; variables are `TABLEWRIGHT_<SECTION>_<KEY>`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where bases, tokens and logs are kept. Variable: `TABLEWRIGHT_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    /// The log.
    pub log: telemetry::Options,
    /// Bases in memory.
    pub engine: tablewright_engine::Options,
    /// Bounds of answers.
    pub answers: tablewright_toolkit::answer::Limits,
    /// Which tools are offered.
    pub tools: Selection,
    /// What callers may do at most; read-only unless allowed.
    pub allow: Rights,
    /// Plans, and which writes somebody has to approve.
    pub approval: tablewright_door::approval::Options,
    /// How much callers may write, delete and ask of Airtable.
    pub budget: tablewright_door::budget::Options,
    /// Telling people that something waits for them.
    pub notify: tablewright_door::notices::Options,
    /// What may leave this machine.
    pub egress: tablewright_door::egress::Options,
    /// The audit log.
    pub audit: tablewright_door::anchors::Options,
    /// Files that attachment cells name.
    pub attachments: tablewright_engine::files::Options,
    /// Fetching from addresses that callers name.
    pub fetch: tablewright_engine::fetch::Options,
    /// Bases that live in Airtable. The variable `AIRTABLE_ENDPOINT_URL` stands for `endpoint_url`.
    pub airtable: tablewright_engine::airtable::Options,
    /// Copies of bases that live in Airtable.
    pub sync: tablewright_engine::replica::Options,
    /// Programs that hear of changes.
    pub webhooks: tablewright_door::webhooks::Options,
    /// The HTTP entry.
    pub http: tablewright_faces::http::Options,
    /// Tokens of an authorization server, beside our own.
    pub oauth: tablewright_door::oauth::Options,
    /// The REST face.
    pub gateway: tablewright_faces::gateway::Options,
    /// The background process that holds the data directory.
    pub owner: crate::owner::Options,
}

impl Config {
    /// Refuses values that are out of range.
    fn check(&self) -> Result<(), Error> {
        let value = |place: &str, reason: String| Err(Error::Value { place: place.to_owned(), reason });
        if let Err((key, reason)) = self.answers.check() {
            return value(&format!("answers.{key}"), reason);
        }
        if let Err((key, reason)) = self.approval.check() {
            return value(&format!("approval.{key}"), reason);
        }
        if let Err((key, reason)) = self.budget.circuit.check() {
            return value(&format!("budget.circuit.{key}"), reason);
        }
        if let Err((key, reason)) = self.audit.check() {
            return value(&format!("audit.{key}"), reason);
        }
        if let Err((key, reason)) = self.attachments.check() {
            return value(&format!("attachments.{key}"), reason);
        }
        if let Err(reason) = self.fetch.check() {
            return value("fetch.allowed_private", reason);
        }
        if let Err((key, reason)) = self.airtable.check() {
            return value(&format!("airtable.{key}"), reason);
        }
        if let Err((key, reason)) = self.sync.check() {
            return value(&format!("sync.{key}"), reason);
        }
        if let Err((key, reason)) = self.webhooks.check() {
            return value(&format!("webhooks.{key}"), reason);
        }
        if let Err((key, reason)) = self.http.check() {
            return value(&format!("http.{key}"), reason);
        }
        if let Err((key, reason)) = self.oauth.check() {
            return value(&format!("oauth.{key}"), reason);
        }
        if let Err((key, reason)) = self.gateway.check() {
            return value(&format!("gateway.{key}"), reason);
        }
        match telemetry::filter(&self.log.level) {
            Ok(_) => Ok(()),
            Err(reason) => value("log.level", reason),
        }
    }
}

/// A setting in force and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// `section.key`
    pub name: String,
    /// Its value; secrets as `***`.
    pub value: Value,
    /// `default`, `file`, a variable's name, or `flag`.
    pub source: String,
}

/// Configuration with the source of every setting.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where they came from.
    pub settings: Vec<Setting>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A variable names no setting.
    #[error("{variable} names no setting.{hint} `tablewright doctor` lists them all")]
    Unknown {
        /// The variable.
        variable: String,
        /// Did you mean.
        hint: String,
    },
    /// A value does not fit its setting.
    #[error("{place}: {reason}")]
    Value {
        /// Which setting, and from where.
        place: String,
        /// Why.
        reason: String,
    },
}

type Flat = BTreeMap<String, (Value, String)>;

fn flatten(prefix: &str, value: Value, source: &str, into: &mut Flat) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&name, value, source, into);
            }
        }
        leaf => {
            into.insert(prefix.to_owned(), (leaf, source.to_owned()));
        }
    }
}

/// A variable's text as the type its setting has.
fn typed(text: &str, like: &Value) -> Value {
    match like {
        Value::Bool(_) => match text.to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Value::Bool(true),
            "0" | "false" | "no" | "off" | "" => Value::Bool(false),
            _ => Value::from(text),
        },
        Value::Number(_) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        // As the settings are shown, or with commas alone.
        Value::Array(_) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        Value::Array(_) => {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Value::from).collect()
        }
        _ => Value::from(text),
    }
}

/// The name of the variable for a setting.
pub fn variable(name: &str) -> String {
    format!("TABLEWRIGHT_{}", name.replace('.', "_").to_uppercase())
}

/// The variable other programs of Airtable's know as its address, and the setting it stands for.
const ENDPOINT: (&str, &str) = ("AIRTABLE_ENDPOINT_URL", "airtable.endpoint_url");
/// The key that opens stored logins.
const SECRET_KEY: &str = "TABLEWRIGHT_SECRET_KEY";
/// A file that holds it.
const SECRET_KEY_FILE: &str = "TABLEWRIGHT_SECRET_KEY_FILE";
/// A command that prints that key: that of a keychain.
const SECRET_KEY_COMMAND: &str = "TABLEWRIGHT_SECRET_KEY_COMMAND";
/// A token for Airtable.
const API_KEY: &str = "AIRTABLE_API_KEY";

/// Variables of the same prefix that are no settings: where the file is, a client's token, and the
/// key of what is secret.
const OTHER_VARIABLES: [&str; 5] =
    ["TABLEWRIGHT_CONFIG", "TABLEWRIGHT_TOKEN", SECRET_KEY, SECRET_KEY_FILE, SECRET_KEY_COMMAND];

/// What the environment says of logins at Airtable; it is in no file and never shown.
pub fn given(variable: impl Fn(&str) -> Option<String>) -> Given {
    let set = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
    Given {
        token: set(API_KEY).map(|text| Secret::new(text.trim())),
        key: set(SECRET_KEY).map(Secret::new),
        key_file: set(SECRET_KEY_FILE).map(PathBuf::from),
        key_command: set(SECRET_KEY_COMMAND),
    }
}

/// Reads everything. `flags` are settings from the command line; `variables` the environment.
pub fn load(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    flags: Map<String, Value>,
) -> Result<Loaded, Error> {
    let mut flat = Flat::new();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    flatten("", defaults, "default", &mut flat);
    let known: Vec<String> = flat.keys().cloned().collect();
    if let Some(path) = file {
        let broken = |reason: String| Error::File { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| broken(e.to_string()))?;
        let read: Config = toml::from_str(&text).map_err(|e| broken(e.to_string()))?;
        let _ = read;
        let value: Value = toml::from_str(&text).map_err(|e| broken(e.to_string()))?;
        flatten("", value, "file", &mut flat);
    }
    let by_variable: BTreeMap<String, &String> = known.iter().map(|name| (variable(name), name)).collect();
    let variables: Vec<(String, String)> = variables.collect();
    if let Some((name, text)) = variables.iter().find(|(name, text)| name == ENDPOINT.0 && !text.is_empty()) {
        flat.insert(ENDPOINT.1.to_owned(), (Value::from(text.as_str()), name.clone()));
    }
    for (name, text) in variables {
        if !name.starts_with("TABLEWRIGHT_") || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let Some(setting) = by_variable.get(&name) else {
            let near = tablewright_core::suggest::nearest(&name, by_variable.keys().map(String::as_str));
            let hint = tablewright_core::suggest::did_you_mean(&near);
            return Err(Error::Unknown { variable: name, hint });
        };
        let value = typed(&text, &flat[*setting].0);
        flat.insert((*setting).clone(), (value, name));
    }
    flatten("", Value::Object(flags), "flag", &mut flat);
    let mut whole = Map::new();
    for (name, (value, source)) in &flat {
        insert(&mut whole, name, value.clone());
        // One at a time, so that a wrong value is named with its source.
        if source != "default" {
            let mut alone = Map::new();
            insert(&mut alone, name, value.clone());
            Config::deserialize(Value::Object(alone)).map_err(|e| Error::Value {
                place: format!("{name} (from {source})"),
                reason: in_plain_words(&e.to_string()),
            })?;
        }
    }
    let config = Config::deserialize(Value::Object(whole))
        .map_err(|e| Error::Value { place: "configuration".into(), reason: e.to_string() })?;
    config.check()?;
    // As the settings themselves are written: what is secret shows as ***.
    let mut shown = Flat::new();
    flatten("", serde_json::to_value(&config).unwrap_or_default(), "", &mut shown);
    let settings = flat
        .into_iter()
        .map(|(name, (_, source))| {
            let value = shown.remove(&name).map(|(value, _)| value).unwrap_or_default();
            Setting { name, value, source }
        })
        .collect();
    Ok(Loaded { config, settings })
}

fn insert(map: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            map.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = map.entry(section.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// The directory for data when none is set: `$XDG_DATA_HOME/tablewright`, or its usual place.
pub fn default_data_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME")
        .filter(|p| p.is_absolute())
        .or_else(|| cfg!(windows).then(|| set("LOCALAPPDATA")).flatten())
        .or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".local/share")))?;
    Some(base.join("tablewright"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn flags_beat_variables_beat_file_beats_defaults() {
        let file = std::env::temp_dir().join(format!("tablewright-config-{}.toml", std::process::id()));
        std::fs::write(&file, "[answers]\nrows = 5\ncharacters = 5000\n[log]\nlevel = \"info\"\n").unwrap();
        let env = variables(&[
            ("TABLEWRIGHT_ANSWERS_ROWS", "7"),
            ("TABLEWRIGHT_LOG_LEVEL", "debug"),
            ("OTHER", "x"),
        ]);
        let flags = serde_json::json!({"log": {"level": "trace"}}).as_object().cloned().unwrap();
        let loaded = load(Some(&file), env, flags).unwrap();
        std::fs::remove_file(&file).unwrap();
        let of = |name: &str| loaded.settings.iter().find(|s| s.name == name).unwrap().source.clone();
        assert_eq!((loaded.config.answers.rows, of("answers.rows")), (7, "TABLEWRIGHT_ANSWERS_ROWS".into()));
        assert_eq!((loaded.config.answers.characters, of("answers.characters")), (5000, "file".into()));
        assert_eq!((loaded.config.log.level.as_str(), of("log.level")), ("trace", "flag".into()));
        assert_eq!(of("answers.cell_characters"), "default");
    }

    #[test]
    fn wrong_settings_are_named() {
        let unknown = load(None, variables(&[("TABLEWRIGHT_ANSWERS_ROW", "7")]), Map::new()).unwrap_err();
        assert!(unknown.to_string().contains("TABLEWRIGHT_ANSWERS_ROWS"), "{unknown}");
        let wrong = load(None, variables(&[("TABLEWRIGHT_ANSWERS_ROWS", "many")]), Map::new()).unwrap_err();
        assert!(wrong.to_string().contains("answers.rows (from TABLEWRIGHT_ANSWERS_ROWS)"), "{wrong}");
        assert!(wrong.to_string().contains("expected a whole number"), "{wrong}");
    }

    #[test]
    fn secrets_are_not_shown_and_the_usual_variable_is_understood() {
        let env = variables(&[
            ("TABLEWRIGHT_AIRTABLE_OAUTH_CLIENT_SECRET", "hush"),
            ("AIRTABLE_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("TABLEWRIGHT_SECRET_KEY", "quiet"),
        ]);
        let loaded = load(None, env, Map::new()).unwrap();
        let of = |name: &str| loaded.settings.iter().find(|s| s.name == name).unwrap();
        assert_eq!(of("airtable.oauth_client_secret").value, "***");
        assert_eq!(loaded.config.airtable.oauth_client_secret.as_ref().unwrap().reveal(), "hush");
        assert_eq!(of("airtable.endpoint_url").value, "http://127.0.0.1:1");
        assert_eq!(of("airtable.endpoint_url").source, "AIRTABLE_ENDPOINT_URL");
        assert!(!format!("{loaded:?}").contains("hush") && !format!("{loaded:?}").contains("quiet"));
        let both = variables(&[
            ("TABLEWRIGHT_AIRTABLE_ENDPOINT_URL", "http://127.0.0.1:2"),
            ("AIRTABLE_ENDPOINT_URL", "http://127.0.0.1:1"),
        ]);
        let loaded = load(None, both, Map::new()).unwrap();
        assert_eq!(loaded.config.airtable.endpoint_url, "http://127.0.0.1:2");
    }

    #[test]
    fn lists_are_read_with_commas_and_as_they_are_shown() {
        let folders = |text: &str| {
            load(None, variables(&[("TABLEWRIGHT_ATTACHMENTS_FOLDERS", text)]), Map::new()).map(|loaded| {
                loaded.settings.into_iter().find(|s| s.name == "attachments.folders").unwrap().value
            })
        };
        let two = serde_json::json!(["/a", "/b c"]);
        for text in ["/a, /b c", r#"["/a", "/b c"]"#] {
            assert_eq!(folders(text).unwrap(), two, "{text}");
        }
        assert_eq!(folders("[]").unwrap(), serde_json::json!([]));
        assert!(folders("[/a]").is_err_and(|why| why.to_string().contains("attachments.folders")));
    }
}
