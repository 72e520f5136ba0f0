//! The `filter` argument: a formula, or conditions as data.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tablewright_core::model::View;
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_engine::base::Filter;
use tablewright_formula::{filter as structured, syntax};

use crate::write::accept_value;

/// Which records are wanted.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct FilterArg(Value);

impl JsonSchema for FilterArg {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "object"] })
    }
}

impl FilterArg {
    /// The same with its texts whole again, to be kept.
    pub(crate) fn accepted(self) -> Result<Self, Fault> {
        accept_value(self.0).map(Self)
    }

    /// The formula it stands for.
    pub(crate) fn formula(&self, view: &TableView) -> Result<Option<String>, Fault> {
        let bad = |message: String| Fault::new(Code::InvalidArguments, format!("filter: {message}"));
        match &self.0 {
            Value::Null => Ok(None),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Object(map) if map.is_empty() => Ok(None),
            Value::Object(_) => {
                let tree = structured::build(&self.0, &view.scope()).map_err(bad)?;
                Ok(Some(syntax::print(&tree)))
            }
            _ => Err(bad("send a formula, or {\"field\", \"op\", \"value\"}.".into())),
        }
    }
}

/// What the caller's filter and the view's keep together. `now` is what NOW() means.
pub(crate) fn filter(
    table: &TableView,
    asked: Option<&FilterArg>,
    named: Option<&View>,
    now: i64,
) -> Result<Option<Arc<Filter>>, Fault> {
    let scope = table.scope();
    let mut filter = Filter::at(now);
    if let Some(view) = named
        && let Some(formula) = &view.filter_formula
    {
        filter = filter.and(&scope, formula, &format!("the filter of view {:?}", view.name))?;
    }
    if let Some(formula) = asked.map(|asked| asked.formula(table)).transpose()?.flatten() {
        filter = filter.and(&scope, &formula, "filter")?;
    }
    Ok((!filter.is_empty()).then(|| Arc::new(filter)))
}
