//! The fields a formula may name.

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use tablewright_core::model::{Field, FieldId, FieldType, Table};

use crate::dialect;
use crate::kinds::Kinds;

/// A field as formulas see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeField {
    /// Its name.
    pub name: String,
    /// Its id, where it has one.
    pub id: Option<FieldId>,
    /// What its cells can be.
    pub kinds: Kinds,
    /// The names of its choices, for a select field.
    pub choices: Option<Vec<String>>,
    /// What the items of its lists can be.
    pub items: Kinds,
    /// True for a field whose cells are hidden from who asks: no formula of theirs may name it.
    pub masked: bool,
}

/// The fields a formula may name, in the order of the table's fields.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    fields: Vec<ScopeField>,
    names: FxHashMap<String, usize>,
    lower: FxHashMap<String, Option<usize>>,
}

impl Scope {
    /// The fields of a table.
    pub fn of_table(table: &Table) -> Self {
        let mut scope = Self::default();
        for field in &table.fields {
            scope.add(ScopeField {
                name: field.name.clone(),
                id: Some(field.id),
                kinds: kinds_of(&field.kind),
                choices: field.kind.choices().map(|all| all.iter().map(|c| c.name.clone()).collect()),
                items: items_of(field),
                masked: field.mask.is_some(),
            });
        }
        scope
    }

    /// What a rollup's formula sees: `values`, which are those of the field `source`.
    pub fn of_rollup(source: Option<&Field>) -> Self {
        let mut scope = Self::default();
        let items = source.map_or(Kinds::ANY, |source| match &source.kind {
            FieldType::Lookup(_) => items_of(source),
            kind => kinds_of(kind),
        });
        scope.add(ScopeField {
            name: "values".into(),
            id: None,
            kinds: Kinds::LIST,
            choices: None,
            items,
            masked: false,
        });
        scope
    }

    /// Adds a field behind the others.
    pub fn add(&mut self, field: ScopeField) {
        let at = self.fields.len();
        self.lower.entry(field.name.to_lowercase()).and_modify(|twin| *twin = None).or_insert(Some(at));
        self.names.entry(field.name.clone()).or_insert(at);
        if let Some(id) = field.id {
            // A field may be called like the id of another one, which formulas mean by it.
            self.names.insert(id.to_string(), at);
        }
        self.fields.push(field);
    }

    /// The place of the field written so: by name, by name in another case, or by id.
    pub fn find(&self, written: &str) -> Option<usize> {
        let by_id = FieldId::is(written);
        if let Some(at) = self.names.get(written).filter(|_| !by_id || dialect::FIELDS_BY_ID) {
            return Some(*at);
        }
        if !dialect::FIELD_NAMES_IGNORE_CASE {
            return None;
        }
        self.lower.get(&written.to_lowercase()).copied().flatten()
    }

    /// The field at a place.
    pub fn field(&self, at: usize) -> Option<&ScopeField> {
        self.fields.get(at)
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[ScopeField] {
        &self.fields
    }
}

/// What the items of a lookup can be, as far as its options say.
pub fn items_of(field: &Field) -> Kinds {
    let result = field.options.as_ref().and_then(|options| options.get("result"));
    let type_name = result.and_then(|result| result.get("type")).and_then(Value::as_str);
    match (&field.kind, type_name.map(|name| FieldType::parse(name, &Map::new()))) {
        (FieldType::Lookup(_), Some(Ok(kind))) => kinds_of(&kind),
        _ => Kinds::ANY,
    }
}

/// What the cells of a field of this type can be inside a formula.
pub fn kinds_of(kind: &FieldType) -> Kinds {
    let kinds = match kind {
        kind if kind.is_text() => Kinds::TEXT,
        FieldType::Number { .. }
        | FieldType::Currency { .. }
        | FieldType::Percent { .. }
        | FieldType::Duration { .. }
        | FieldType::Rating { .. }
        | FieldType::AutoNumber
        | FieldType::Count(_) => Kinds::NUM,
        FieldType::Checkbox => Kinds::BOOL,
        FieldType::Date
        | FieldType::DateTime { .. }
        | FieldType::CreatedTime { .. }
        | FieldType::LastModifiedTime { .. } => Kinds::DATE,
        FieldType::SingleSelect(_)
        | FieldType::SingleCollaborator
        | FieldType::Barcode
        // Files read as one text: `name (url),name (url)`.
        | FieldType::Attachments
        | FieldType::CreatedBy
        | FieldType::LastModifiedBy
        | FieldType::Button { .. }
        | FieldType::AiText
        | FieldType::ExternalSyncSource => Kinds::TEXT,
        FieldType::MultipleSelects(_)
        | FieldType::MultipleCollaborators
        | FieldType::Links(_) => Kinds::NAMES,
        FieldType::Lookup(_) => Kinds::LIST,
        FieldType::Formula { result: Some(result), .. } | FieldType::Rollup(_, Some(result)) => {
            return kinds_of(result);
        }
        _ => return Kinds::ANY,
    };
    kinds.or(Kinds::BLANK)
}
