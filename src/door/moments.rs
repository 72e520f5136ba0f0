//! Times as the people who write and read them mean them: in their own time zone, where a field leaves
//! the zone to whoever looks (Airtable's `client`).

use serde_json::Value;
use tablewright_core::model::cell::{instant_text, parse_instant};
use tablewright_core::model::{Field, FieldType};
use tablewright_engine::local::{Action, local_instant};
use tablewright_formula::moment::Zone;

use crate::attachments::records;
use crate::call::Call;
use crate::view::TableView;

/// Whether a field leaves its zone to whoever looks.
pub fn is_of_reader(field: &Field) -> bool {
    let result = || field.options.as_ref()?.get("result")?.get("options")?.get("timeZone")?.as_str();
    match &field.kind {
        FieldType::DateTime { time_zone } => time_zone == "client",
        kind => kind.is_computed() && result() == Some("client"),
    }
}

impl Call {
    /// The caller's time zone, where they have said one.
    pub fn zone(&self) -> Option<&'static Zone> {
        self.zone_name().and_then(Zone::iana)
    }

    fn zone_name(&self) -> Option<&str> {
        self.caller().member.as_ref()?.time_zone.as_deref()
    }

    /// The caller's language, where they have said one: a BCP 47 tag.
    pub fn locale(&self) -> Option<&str> {
        self.caller().member.as_ref()?.locale.as_deref()
    }

    /// A moment as the caller writes it: without an offset it is one of their time zone, if they have
    /// said one.
    pub fn moment(&self, text: &str) -> Option<i64> {
        let local = || local_instant(text, self.zone_name()?, false);
        local().filter(|_| text.len() <= 10).or_else(|| parse_instant(text)).or_else(local)
    }
}

/// Reads the times of a write that have no offset in the caller's time zone.
pub(crate) fn complete(call: &Call, view: &TableView, action: &mut Action, typecast: bool) {
    let Some(zone) = call.zone_name() else { return };
    let table = view.schema();
    if !table.fields.iter().any(is_of_reader) {
        return;
    }
    for (name, value) in records(action).into_iter().flat_map(|(_, cells)| cells.iter_mut()) {
        let Value::String(text) = &*value else { continue };
        if (text.len() > 10 && parse_instant(text).is_some()) || !table.field(name).is_ok_and(is_of_reader) {
            continue;
        }
        if let Some(ms) = local_instant(text, zone, typecast) {
            *value = Value::String(instant_text(ms));
        }
    }
}
