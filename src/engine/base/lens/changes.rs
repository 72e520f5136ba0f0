//! What of a change is seen by somebody who may not see all of a base.

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{RecordId, TableId};

use super::{Lens, Rows, Seen};
use crate::base::{RowChange, Snapshot, TableChanges, before};

impl Lens {
    /// Whether a change of a row can matter to what is seen: it is of a cell that is seen, or of one
    /// that decides whether the row is.
    pub fn concerns(&self, whole: &Snapshot, table: TableId, row: &RowChange) -> bool {
        let Some(lens) = self.tables.iter().find(|lens| lens.id == table) else { return false };
        let (Some(before), Some(after)) = (&row.before, &row.after) else { return true };
        let Ok((table, _)) = whole.table(table) else { return false };
        let programs = match &lens.rows {
            Some(Rows::Where { programs, .. }) => programs.as_slice(),
            _ => &[],
        };
        let read = || programs.iter().flat_map(|program| program.fields());
        // What decides may be worked out from any cell.
        if read().any(|at| table.fields[*at].kind.is_computed())
            || programs.iter().any(|p| !p.watched().is_empty())
        {
            return true;
        }
        let open = lens.columns.iter().filter(|(_, how)| !matches!(how, Seen::Masked(_))).map(|(at, _)| at);
        let mut matter = open.chain(read()).map(|at| table.fields[*at].id.to_string());
        matter.any(|key| before.contains_key(&key) || after.contains_key(&key))
    }

    /// Changes of rows without rows and cells that are not seen or masked, and without links to
    /// records that are not seen. `whole` is the base as it is now.
    pub fn changes(
        &self,
        whole: &Snapshot,
        changes: &[TableChanges],
        now: i64,
    ) -> Result<Vec<TableChanges>, Fault> {
        let mut shown = Vec::new();
        for held in changes {
            let Some(lens) = self.tables.iter().find(|lens| lens.id == held.table) else { continue };
            let (table, _) = whole.table(held.table)?;
            let fields: FxHashMap<String, Seen> =
                lens.columns.iter().map(|(place, how)| (table.fields[*place].id.to_string(), *how)).collect();
            let of = |rows: &[RowChange]| -> Result<Vec<RowChange>, Fault> {
                let kept = self.keeps_changed(whole, held.table, rows, now)?;
                let kept = rows.iter().zip(kept).filter(|(_, kept)| *kept);
                let cut = |cells: &Option<Map<String, Value>>| {
                    cells.as_ref().map(|cells| self.cells(whole, &fields, cells, now)).transpose()
                };
                let mut out = Vec::new();
                for (row, _) in kept {
                    let (before, after) = (cut(&row.before)?, cut(&row.after)?);
                    if before != after {
                        out.push(RowChange { id: row.id, before, after });
                    }
                }
                Ok(out)
            };
            let (rows, computed) = (of(&held.rows)?, of(&held.computed)?);
            if !rows.is_empty() || !computed.is_empty() {
                shown.push(TableChanges { table: held.table, rows, computed });
            }
        }
        Ok(shown)
    }

    /// For each changed row whether it is seen: as it is now, or, when it is not there, as the change
    /// has it.
    fn keeps_changed(
        &self,
        whole: &Snapshot,
        table: TableId,
        rows: &[RowChange],
        now: i64,
    ) -> Result<Vec<bool>, Fault> {
        if !self.limits_rows(table) {
            return Ok(vec![true; rows.len()]);
        }
        let (_, data) = whole.table(table)?;
        let gone: Vec<(RecordId, Map<String, Value>)> = rows
            .iter()
            .filter(|row| data.slot(&row.id).is_none())
            .filter_map(|row| Some((row.id, row.before.clone().or_else(|| row.after.clone())?)))
            .collect();
        let as_it_was;
        let whole = if gone.is_empty() {
            whole
        } else {
            as_it_was = before(whole, table, gone, now);
            &as_it_was
        };
        let (_, data) = whole.table(table)?;
        let slots: Vec<Option<usize>> = rows.iter().map(|row| data.slot(&row.id)).collect();
        let there: Vec<usize> = slots.iter().flatten().copied().collect();
        let mut kept = self.keeps(whole, table, &there, now)?.into_iter();
        Ok(slots.iter().map(|slot| slot.is_some() && kept.next().unwrap_or(false)).collect())
    }

    fn cells(
        &self,
        whole: &Snapshot,
        fields: &FxHashMap<String, Seen>,
        cells: &Map<String, Value>,
        now: i64,
    ) -> Result<Map<String, Value>, Fault> {
        let mut shown = Map::new();
        for (key, value) in cells {
            match (fields.get(key), value) {
                (Some(Seen::Links(to)), Value::Array(ids)) => {
                    let seen = self.linked(whole, *to, ids, now)?;
                    shown.insert(key.clone(), Value::Array(seen));
                }
                (Some(Seen::As | Seen::Links(_)), value) => {
                    shown.insert(key.clone(), value.clone());
                }
                _ => {}
            }
        }
        Ok(shown)
    }

    fn linked(&self, whole: &Snapshot, to: TableId, ids: &[Value], now: i64) -> Result<Vec<Value>, Fault> {
        let (_, data) = whole.table(to)?;
        let slot = |id: &Value| data.slot(&id.as_str()?.parse::<RecordId>().ok()?);
        let there: Vec<(&Value, usize)> = ids.iter().filter_map(|id| Some((id, slot(id)?))).collect();
        let slots: Vec<usize> = there.iter().map(|(_, slot)| *slot).collect();
        let kept = self.keeps(whole, to, &slots, now)?;
        let seen = there.iter().zip(kept).filter(|(_, kept)| *kept);
        Ok(seen.map(|((id, _), _)| (*id).clone()).collect())
    }
}
