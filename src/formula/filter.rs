//! The structured filter: conditions as data, built into a formula tree.

use serde_json::Value as Json;
use tablewright_core::suggest::{did_you_mean, nearest};

use crate::function::Function;
use crate::kinds::Kinds;
use crate::moment::parse_lenient;
use crate::problem::Span;
use crate::scope::Scope;
use crate::syntax::{Kind, MAX_DEPTH, NodeId, Operator, Tree};

/// Most conditions of one filter.
pub const MAX_CONDITIONS: usize = 1000;

/// How a field is compared.
const OPERATORS: &[(&str, Compare)] = &[
    ("=", Compare::Sign(Operator::Equal)),
    ("!=", Compare::Sign(Operator::NotEqual)),
    ("<", Compare::Sign(Operator::Less)),
    ("<=", Compare::Sign(Operator::LessOrEqual)),
    (">", Compare::Sign(Operator::Greater)),
    (">=", Compare::Sign(Operator::GreaterOrEqual)),
    ("contains", Compare::Contains),
    ("not_contains", Compare::NotContains),
    ("starts_with", Compare::StartsWith),
    ("has", Compare::Has),
    ("in", Compare::In),
    ("not_in", Compare::NotIn),
    ("empty", Compare::Empty),
    ("not_empty", Compare::NotEmpty),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Compare {
    Sign(Operator),
    Contains,
    NotContains,
    StartsWith,
    Has,
    In,
    NotIn,
    Empty,
    NotEmpty,
}

/// Builds a structured filter into a formula tree; the fields are those of `scope`. The error
/// says what to send instead.
pub fn build(filter: &Json, scope: &Scope) -> Result<Tree, String> {
    if depth(filter) > MAX_DEPTH / 4 {
        return Err(format!("conditions are nested more than {} deep.", MAX_DEPTH / 4));
    }
    let mut builder = Builder { tree: Tree::new(), scope, left: MAX_CONDITIONS };
    builder.tree.root = builder.condition(filter)?;
    Ok(builder.tree)
}

const SHAPE: &str = "a condition is {\"and\": […]}, {\"or\": […]}, {\"not\": {…}} or {\"field\", \"op\", \"value\"}, and nothing else";

fn depth(value: &Json) -> usize {
    // The JSON reader bounds the nesting, so this recursion is bounded too.
    match value {
        Json::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Json::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct Builder<'s> {
    tree: Tree,
    scope: &'s Scope,
    left: usize,
}

impl Builder<'_> {
    fn push(&mut self, kind: Kind) -> NodeId {
        self.tree.push(kind, Span::default())
    }

    fn call(&mut self, function: Function, args: Vec<NodeId>) -> NodeId {
        self.push(Kind::Call(function, args))
    }

    fn chain(&mut self, left: NodeId, operator: Operator, right: NodeId) -> NodeId {
        self.push(Kind::Chain(left, vec![(operator, right)]))
    }

    fn text(&mut self, text: &str) -> NodeId {
        self.push(Kind::Text(text.to_owned()))
    }

    /// Counts one more condition or value.
    fn count(&mut self) -> Result<(), String> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| format!("a filter has at most {MAX_CONDITIONS} conditions and values."))?;
        Ok(())
    }

    fn condition(&mut self, condition: &Json) -> Result<NodeId, String> {
        self.count()?;
        let map = condition.as_object().ok_or_else(|| format!("{SHAPE}."))?;
        let only = |known: &[&str]| match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("{key:?} does not belong there: {SHAPE}.")),
            None => Ok(()),
        };
        if let Some(all) = map.get("and") {
            only(&["and"])?;
            return self.all(Function::And, all);
        }
        if let Some(any) = map.get("or") {
            only(&["or"])?;
            return self.all(Function::Or, any);
        }
        if let Some(inner) = map.get("not") {
            only(&["not"])?;
            let inner = self.condition(inner)?;
            return Ok(self.call(Function::Not, vec![inner]));
        }
        only(&["field", "op", "value"])?;
        let text = |key: &str| {
            map.get(key).and_then(Json::as_str).ok_or_else(|| format!("{key:?} is missing: {SHAPE}."))
        };
        self.compare(text("field")?, text("op")?, map.get("value"))
    }

    fn all(&mut self, function: Function, conditions: &Json) -> Result<NodeId, String> {
        let name = function.signature().name.to_lowercase();
        let conditions = conditions.as_array().filter(|list| !list.is_empty());
        let conditions =
            conditions.ok_or_else(|| format!("{name:?} needs a list of at least one condition."))?;
        let parts = conditions.iter().map(|c| self.condition(c)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.call(function, parts))
    }

    fn compare(&mut self, name: &str, op: &str, given: Option<&Json>) -> Result<NodeId, String> {
        let Some(at) = self.scope.find(name) else {
            let near = nearest(name, self.scope.fields().iter().map(|f| f.name.as_str()));
            let shown: String = name.chars().take(80).collect();
            return Err(format!("there is no field {shown:?}.{}", did_you_mean(&near)));
        };
        let Some((_, compare)) = OPERATORS.iter().find(|(known, _)| *known == op) else {
            let known: Vec<&str> = OPERATORS.iter().map(|(name, _)| *name).collect();
            let shown: String = op.chars().take(40).collect();
            return Err(format!("there is no op {shown:?}; use one of {}.", known.join(", ")));
        };
        let wants_value = !matches!(compare, Compare::Empty | Compare::NotEmpty);
        let value = match (given, wants_value) {
            (Some(value), true) => value,
            (None | Some(Json::Null), false) => &Json::Null,
            (None, true) => return Err(format!("{op:?} needs a \"value\"; null stands for an empty cell.")),
            (Some(_), false) => return Err(format!("{op:?} takes no \"value\".")),
        };
        let known = self.scope.field(at).cloned().ok_or("there is no such field.")?;
        if known.masked {
            return Err(crate::check::masked(&known.name));
        }
        let kinds = known.kinds.without(Kinds::BLANK);
        let field = self.push(Kind::Field(known.name));
        match compare {
            Compare::Empty | Compare::NotEmpty => {
                // A 0 is a value and no empty cell, so the text decides.
                let nothing = self.text("");
                let text = self.chain(field, Operator::Join, nothing);
                let nothing = self.text("");
                let sign = if *compare == Compare::Empty { Operator::Equal } else { Operator::NotEqual };
                Ok(self.chain(text, sign, nothing))
            }
            Compare::In | Compare::NotIn => {
                let Json::Array(values) = value else {
                    return Err(format!("{op:?} takes a list of values."));
                };
                if values.is_empty() {
                    return Err(format!("{op:?} needs at least one value."));
                }
                let mut parts = Vec::with_capacity(values.len());
                for value in values {
                    self.count()?;
                    let field = self.push(self.tree.node(field).kind.clone());
                    parts.push(self.sign(field, kinds, Operator::Equal, value)?);
                }
                let any = self.call(Function::Or, parts);
                Ok(if *compare == Compare::In { any } else { self.call(Function::Not, vec![any]) })
            }
            Compare::Sign(operator) => self.sign(field, kinds, *operator, value),
            Compare::Contains | Compare::NotContains => {
                let found = self.contains(field, &text_of(value, op)?);
                Ok(if *compare == Compare::Contains { found } else { self.call(Function::Not, vec![found]) })
            }
            Compare::StartsWith => {
                let found = self.contains(field, &text_of(value, op)?);
                let one = self.push(Kind::Number(1.0));
                Ok(self.chain(found, Operator::Equal, one))
            }
            Compare::Has if kinds.meets(Kinds::LIST.or(Kinds::NAMES)) => {
                self.has(field, &text_of(value, op)?)
            }
            Compare::Has => Err(format!(
                "\"has\" asks for one item of a list, and {name:?} holds none; use \"=\" or \"contains\"."
            )),
        }
    }

    /// `SEARCH("text", {Field} & "")`: blank where the text is not found.
    fn contains(&mut self, field: NodeId, text: &str) -> NodeId {
        let needle = self.text(text);
        let nothing = self.text("");
        let hay = self.chain(field, Operator::Join, nothing);
        self.call(Function::Search, vec![needle, hay])
    }

    /// True when one item of a list is the text. Items stand on lines of their own, for an item
    /// may hold a comma: `FIND("\nred\n", "\n" & ARRAYJOIN({Tags}, "\n") & "\n") > 0`.
    fn has(&mut self, field: NodeId, text: &str) -> Result<NodeId, String> {
        let needle = self.text(&format!("\n{text}\n"));
        let [before, between, after] = [(); 3].map(|()| self.text("\n"));
        let joined = self.call(Function::ArrayJoin, vec![field, between]);
        let hay = self.push(Kind::Chain(before, vec![(Operator::Join, joined), (Operator::Join, after)]));
        let found = self.call(Function::Find, vec![needle, hay]);
        let zero = self.push(Kind::Number(0.0));
        Ok(self.chain(found, Operator::Greater, zero))
    }

    fn sign(
        &mut self,
        field: NodeId,
        kinds: Kinds,
        operator: Operator,
        value: &Json,
    ) -> Result<NodeId, String> {
        let right = match value {
            Json::Null => self.call(Function::Blank, Vec::new()),
            Json::Bool(truth) => self.call(if *truth { Function::True } else { Function::False }, Vec::new()),
            Json::Number(number) => {
                let number = number.as_f64().unwrap_or(0.0);
                let positive = self.push(Kind::Number(number.abs()));
                if number < 0.0 { self.push(Kind::Negate(positive)) } else { positive }
            }
            Json::String(text) if kinds == Kinds::DATE && !text.is_empty() => {
                return self.date(field, operator, text);
            }
            Json::String(text) => self.text(text),
            _ => {
                return Err("value is a text, a number, true, false or null; \"in\" takes a list.".to_owned());
            }
        };
        Ok(self.chain(field, operator, right))
    }

    /// A date without a time means the whole day.
    fn date(&mut self, field: NodeId, operator: Operator, text: &str) -> Result<NodeId, String> {
        let is_day = text.len() == 10;
        let whole = text.len() >= 10 && text.starts_with(|c: char| c.is_ascii_digit());
        if !whole || parse_lenient(text).is_none() {
            return Err(format!(
                "{text:?} is no date; send an ISO date such as \"2026-01-31\", or one with its time."
            ));
        }
        let date = self.text(text);
        match operator {
            Operator::Equal | Operator::NotEqual if is_day => {
                let unit = self.text("day");
                let filled = self.push(self.tree.node(field).kind.clone());
                let same = self.call(Function::IsSame, vec![field, date, unit]);
                let both = self.call(Function::And, vec![filled, same]);
                Ok(if operator == Operator::Equal { both } else { self.call(Function::Not, vec![both]) })
            }
            // Up to the end of the day, and from the next one on.
            Operator::LessOrEqual | Operator::Greater if is_day => {
                let one = self.push(Kind::Number(1.0));
                let unit = self.text("days");
                let next = self.call(Function::DateAdd, vec![date, one, unit]);
                let later = operator == Operator::Greater;
                Ok(self.chain(field, if later { Operator::GreaterOrEqual } else { Operator::Less }, next))
            }
            _ => {
                let date = self.call(Function::DatetimeParse, vec![date]);
                Ok(self.chain(field, operator, date))
            }
        }
    }
}

fn text_of(value: &Json, op: &str) -> Result<String, String> {
    match value {
        Json::String(text) if !text.is_empty() => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(format!("{op:?} takes a text.")),
    }
}

#[cfg(test)]
mod tests {
    use super::build;
    use crate::kinds::Kinds;
    use crate::scope::{Scope, ScopeField};
    use crate::syntax::{parse, print};

    fn scope() -> Scope {
        let mut scope = Scope::default();
        for (name, kinds) in
            [("Name", Kinds::TEXT), ("N", Kinds::NUM), ("Due", Kinds::DATE), ("Tags", Kinds::NAMES)]
        {
            scope.add(ScopeField {
                name: name.into(),
                id: None,
                kinds,
                choices: None,
                items: Kinds::ANY,
                masked: false,
            });
        }
        scope
    }

    #[test]
    fn conditions_become_formulas() {
        for (filter, formula) in [
            (r#"{"field":"Name","op":"=","value":"a \"b\""}"#, r#"{Name} = "a \"b\"""#),
            (r#"{"field":"N","op":">=","value":-2.5}"#, "{N} >= -2.5"),
            (
                r#"{"and":[{"field":"N","op":"<","value":3},{"not":{"field":"Name","op":"empty"}}]}"#,
                r#"AND({N} < 3, NOT({Name} & "" = ""))"#,
            ),
            (
                r#"{"field":"Due","op":"=","value":"2026-01-31"}"#,
                r#"AND({Due}, IS_SAME({Due}, "2026-01-31", "day"))"#,
            ),
            (r#"{"field":"Due","op":"<","value":"2026-01-31"}"#, r#"{Due} < DATETIME_PARSE("2026-01-31")"#),
            (r#"{"field":"name","op":"in","value":["a","b"]}"#, r#"OR({Name} = "a", {Name} = "b")"#),
            (r#"{"field":"Name","op":"contains","value":"x"}"#, r#"SEARCH("x", {Name} & "")"#),
            (
                r#"{"field":"Tags","op":"has","value":"red"}"#,
                r#"FIND("\nred\n", "\n" & ARRAYJOIN({Tags}, "\n") & "\n") > 0"#,
            ),
            (
                r#"{"field":"Due","op":"<=","value":"2026-01-31"}"#,
                r#"{Due} < DATEADD("2026-01-31", 1, "days")"#,
            ),
        ] {
            let tree = build(&serde_json::from_str(filter).unwrap(), &scope()).unwrap();
            assert_eq!(print(&tree), formula);
            assert!(parse(&print(&tree)).0.same(&tree), "{formula}");
        }
    }

    #[test]
    fn bad_conditions_say_what_to_send() {
        for (filter, says) in [
            (r#"{"field":"Nam","op":"=","value":1}"#, "Did you mean \"Name\""),
            (r#"{"field":"Name","op":"like","value":1}"#, "contains"),
            (r#"{"field":"Due","op":"<","value":"soon"}"#, "ISO date"),
            (r#"{"field":"Due","op":"=","value":"2026-01"}"#, "ISO date"),
            (r#"{"field":"N","op":"=","valeu":1}"#, "does not belong"),
            (r#"{"field":"N","op":"="}"#, "needs a \"value\""),
            (r#"{"and":[{"field":"N","op":"empty"}],"or":[]}"#, "does not belong"),
            (r#"{"field":"N","op":"has","value":"1"}"#, "one item"),
            (r#"{"and":[]}"#, "at least one"),
            (r#"{"x":1}"#, "does not belong"),
            (r#"{"field":"Name","op":"in","value":"a"}"#, "list"),
        ] {
            let error = build(&serde_json::from_str(filter).unwrap(), &scope()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
