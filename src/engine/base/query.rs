//! Order and pages.

use std::cmp::Ordering;
use std::sync::Arc;

use tablewright_core::Fault;
use tablewright_core::model::{FieldId, Sort, Table};

use super::column::{Column, Data};
use super::filter::Filter;
use super::snapshot::Snapshot;
use super::table::TableData;

/// Which rows, in which order.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The rows that are kept; all without one.
    pub filter: Option<Arc<Filter>>,
    /// The order; the table's own when empty.
    pub sorts: Vec<Sort>,
    /// Rows per page.
    pub limit: usize,
    /// Where to go on.
    pub after: Option<After>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// How many rows came before.
    pub offset: usize,
    /// The position of the last row, by which it is found again when rows moved.
    pub position: i64,
    /// The table's version when that page was made.
    pub version: u64,
}

/// Slots of one page.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rows' slots, in order.
    pub slots: Vec<usize>,
    /// How many rows the query has in all.
    pub total: usize,
    /// Where to go on; absent on the last page.
    pub next: Option<After>,
    /// True when the table changed since the page before.
    pub moved: bool,
}

/// A key that orders as Airtable orders the cells of a field.
#[derive(Clone, Debug)]
enum Key {
    Number(f64),
    Integer(i64),
    Text(String, String),
    List(Vec<u32>),
}

fn compare(a: &Option<Key>, b: &Option<Key>) -> Ordering {
    match (a, b) {
        // Blank cells come first.
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Key::Number(a)), Some(Key::Number(b))) => a.total_cmp(b),
        (Some(Key::Integer(a)), Some(Key::Integer(b))) => a.cmp(b),
        (Some(Key::Text(a, x)), Some(Key::Text(b, y))) => a.cmp(b).then_with(|| x.cmp(y)),
        (Some(Key::List(a)), Some(Key::List(b))) => a.cmp(b),
        // Odd cells of another kind come last, in a fixed order of kinds.
        (Some(a), Some(b)) => kind(a).cmp(&kind(b)),
    }
}

fn kind(key: &Key) -> u8 {
    match key {
        Key::Number(_) => 0,
        Key::Integer(_) => 1,
        Key::List(_) => 2,
        Key::Text(..) => 3,
    }
}

fn text_key(text: &str) -> Key {
    Key::Text(text.to_lowercase(), text.to_owned())
}

fn key(snapshot: &Snapshot, table: &Table, at: usize, column: &Column, slot: usize) -> Option<Key> {
    let cell = column.get(slot);
    if cell.is_blank() {
        return None;
    }
    match (column.odd(slot), column.data()) {
        (None, Data::Number(c)) => Some(Key::Number(*c.get(slot))),
        (None, Data::Instant(c)) => Some(Key::Integer(*c.get(slot))),
        (None, Data::Check(_)) => Some(Key::Integer(1)),
        (None, Data::Choice(c)) => Some(Key::Integer(i64::from(*c.get(slot)))),
        (None, Data::Choices(c)) => Some(Key::List(c.get(slot).as_ref()?.to_vec())),
        _ => {
            let mut text = String::new();
            snapshot.push_text(&mut text, &table.fields[at], &cell);
            Some(text_key(&text))
        }
    }
}

/// The rows of `table` that `query` asks for.
pub fn run(snapshot: &Snapshot, table: &Table, data: &Arc<TableData>, query: &Query) -> Result<Page, Fault> {
    for sort in &query.sorts {
        table.field_by_id(sort.field).map_or(Ok(()), |field| field.require_unmasked("sort"))?;
    }
    let keys: Vec<(usize, bool)> =
        query.sorts.iter().filter_map(|s| table.field_index(s.field).map(|at| (at, s.descending))).collect();
    let moved = query.after.is_some_and(|after| after.version != data.version);
    let filter = query.filter.as_ref().filter(|filter| !filter.is_empty());
    let kept = filter.map(|filter| filter.slots(snapshot, table, data)).transpose()?;
    Ok(if keys.is_empty() {
        in_own_order(data, query, kept)
    } else {
        sorted(snapshot, table, data, query, &keys, kept, moved)
    })
}

fn in_own_order(data: &TableData, query: &Query, kept: Option<Vec<usize>>) -> Page {
    let start = query.after.map_or(0, |after| data.slot_after(after.position));
    let total = kept.as_ref().map_or(data.len(), Vec::len);
    let wanted = query.limit.saturating_add(1);
    let mut slots: Vec<usize> = match kept {
        Some(kept) => kept.into_iter().skip_while(|slot| *slot < start).take(wanted).collect(),
        None => data.slots_from(start).take(wanted).collect(),
    };
    let more = slots.len() > query.limit;
    slots.truncate(query.limit);
    let offset = query.after.map_or(0, |after| after.offset) + slots.len();
    let next = slots.last().filter(|_| more).map(|last| After {
        offset,
        position: data.row(*last).position,
        version: data.version,
    });
    // In its own order a page goes on exactly where it ended, whatever changed.
    Page { slots, total, next, moved: false }
}

fn sorted(
    snapshot: &Snapshot,
    table: &Table,
    data: &TableData,
    query: &Query,
    keys: &[(usize, bool)],
    kept: Option<Vec<usize>>,
    moved: bool,
) -> Page {
    type Keyed = (Vec<Option<Key>>, usize);
    let mut rows: Vec<Keyed> = kept
        .unwrap_or_else(|| data.slots().collect())
        .into_iter()
        .map(|slot| {
            let keys = keys
                .iter()
                .map(|(at, _)| key(snapshot, table, *at, data.column(*at), slot))
                .collect::<Vec<_>>();
            (keys, slot)
        })
        .collect();
    let order = |a: &Keyed, b: &Keyed| {
        for ((x, y), (_, descending)) in a.0.iter().zip(&b.0).zip(keys) {
            let order = compare(x, y);
            if order != Ordering::Equal {
                return if *descending { order.reverse() } else { order };
            }
        }
        a.1.cmp(&b.1)
    };
    let mut offset = query.after.map_or(0, |after| after.offset);
    if moved
        && let Some(after) = query.after
        && let Some(last) = rows.iter().find(|row| data.row(row.1).position == after.position).cloned()
    {
        // Rows moved: go on behind the row that ended the last page, wherever it is now.
        offset = 1 + rows.iter().filter(|row| order(row, &last) == Ordering::Less).count();
    }
    let total = rows.len();
    let end = offset.saturating_add(query.limit).min(total);
    if offset >= total {
        return Page { slots: Vec::new(), total, next: None, moved };
    }
    if end < total {
        rows.select_nth_unstable_by(end, order);
        rows.truncate(end);
    }
    if offset > 0 {
        rows.select_nth_unstable_by(offset, order);
        rows.drain(..offset);
    }
    rows.sort_unstable_by(order);
    let slots: Vec<usize> = rows.iter().map(|row| row.1).collect();
    let next = slots.last().filter(|_| end < total).map(|last| After {
        offset: end,
        position: data.row(*last).position,
        version: data.version,
    });
    Page { slots, total, next, moved }
}

/// The order a view gives its rows, and the fields it shows.
pub fn of_view(table: &Table, view: &tablewright_core::model::View) -> (Vec<Sort>, Vec<FieldId>) {
    let fields = match &view.visible_field_ids {
        Some(ids) => ids.iter().copied().filter(|id| table.field_by_id(*id).is_some()).collect(),
        None => table.fields.iter().map(|f| f.id).collect(),
    };
    (view.sorts.clone(), fields)
}
