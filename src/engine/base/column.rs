//! One field's cells, laid out by type, with odd cells beside them.

use std::sync::Arc;

use ecow::EcoString;
use serde_json::Value;
use tablewright_core::model::cell::{BLANK_CHOICE, BLANK_INSTANT, BLANK_NUMBER, Layout};
use tablewright_core::model::{Cell, FieldType, RecordId};

use super::chunks::Chunks;

/// The cells of a typed column.
#[derive(Clone, Debug)]
pub enum Data {
    /// Texts; empty is blank.
    Text(Chunks<EcoString>),
    /// Numbers; one NaN is blank.
    Number(Chunks<f64>),
    /// Ticks.
    Check(Chunks<bool>),
    /// Milliseconds; the smallest is blank.
    Instant(Chunks<i64>),
    /// Positions among the choices; the largest is blank.
    Choice(Chunks<u32>),
    /// Lists of positions.
    Choices(Chunks<Option<Arc<[u32]>>>),
    /// Lists of record ids.
    Links(Chunks<Option<Arc<[RecordId]>>>),
    /// Values as they are.
    Json(Chunks<Option<Arc<Value>>>),
}

/// One field's cells.
#[derive(Clone, Debug)]
pub struct Column {
    data: Data,
    /// Cells that do not fit the layout; there only once a column has one.
    odd: Option<Chunks<Option<Arc<Value>>>>,
}

impl Column {
    /// A column of `len` blank cells for a field of this type.
    pub fn blank(kind: &FieldType, len: usize) -> Self {
        let data = match kind.layout() {
            Layout::Text => Data::Text(Chunks::filled(len, &EcoString::new())),
            Layout::Number => Data::Number(Chunks::filled(len, &f64::from_bits(BLANK_NUMBER))),
            Layout::Check => Data::Check(Chunks::filled(len, &false)),
            Layout::Instant => Data::Instant(Chunks::filled(len, &BLANK_INSTANT)),
            Layout::Choice => Data::Choice(Chunks::filled(len, &BLANK_CHOICE)),
            Layout::Choices => Data::Choices(Chunks::filled(len, &None)),
            Layout::Links => Data::Links(Chunks::filled(len, &None)),
            Layout::Json => Data::Json(Chunks::filled(len, &None)),
        };
        Self { data, odd: None }
    }

    /// The typed cells, for loops over a whole column.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// How many cells there are, deleted rows included.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Text(c) => c.len(),
            Data::Number(c) => c.len(),
            Data::Check(c) => c.len(),
            Data::Instant(c) => c.len(),
            Data::Choice(c) => c.len(),
            Data::Choices(c) => c.len(),
            Data::Links(c) => c.len(),
            Data::Json(c) => c.len(),
        }
    }

    /// True when there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when some cell does not fit the layout.
    pub fn has_odd(&self) -> bool {
        self.odd.is_some()
    }

    /// The odd value at `row`, if it has one.
    pub fn odd(&self, row: usize) -> Option<&Arc<Value>> {
        self.odd.as_ref().and_then(|odd| odd.get(row).as_ref())
    }

    /// The cell at `row`.
    pub fn get(&self, row: usize) -> Cell {
        if let Some(value) = self.odd(row) {
            return Cell::Json(value.clone());
        }
        match &self.data {
            Data::Text(c) => match c.get(row) {
                text if text.is_empty() => Cell::Blank,
                text => Cell::Text(text.clone()),
            },
            Data::Number(c) => self::number(*c.get(row)).map_or(Cell::Blank, Cell::Number),
            Data::Check(c) => {
                if *c.get(row) {
                    Cell::Checked
                } else {
                    Cell::Blank
                }
            }
            Data::Instant(c) => match *c.get(row) {
                BLANK_INSTANT => Cell::Blank,
                ms => Cell::Instant(ms),
            },
            Data::Choice(c) => match *c.get(row) {
                BLANK_CHOICE => Cell::Blank,
                at => Cell::Choice(at),
            },
            Data::Choices(c) => c.get(row).clone().map_or(Cell::Blank, Cell::Choices),
            Data::Links(c) => c.get(row).clone().map_or(Cell::Blank, Cell::Links),
            Data::Json(c) => c.get(row).clone().map_or(Cell::Blank, Cell::Json),
        }
    }

    /// Replaces the cell at `row`.
    pub fn set(&mut self, row: usize, cell: Cell) {
        let odd = self.put(row, cell);
        if odd.is_some() || self.odd.is_some() {
            let len = self.len();
            let held = self.odd.get_or_insert_with(|| Chunks::filled(len, &None));
            if odd.is_some() || held.get(row).is_some() {
                held.set(row, odd);
            }
        }
    }

    /// Appends a cell.
    pub fn push(&mut self, cell: Cell) {
        match &mut self.data {
            Data::Text(c) => c.push(EcoString::new()),
            Data::Number(c) => c.push(f64::from_bits(BLANK_NUMBER)),
            Data::Check(c) => c.push(false),
            Data::Instant(c) => c.push(BLANK_INSTANT),
            Data::Choice(c) => c.push(BLANK_CHOICE),
            Data::Choices(c) => c.push(None),
            Data::Links(c) => c.push(None),
            Data::Json(c) => c.push(None),
        }
        if let Some(odd) = &mut self.odd {
            odd.push(None);
        }
        if !cell.is_blank() {
            self.set(self.len() - 1, cell);
        }
    }

    /// Appends numbers, the blank mark among them, to a column of numbers. False for another column.
    pub fn append_numbers(&mut self, numbers: Vec<f64>) -> bool {
        let len = numbers.len();
        let Data::Number(held) = &mut self.data else { return false };
        held.append(numbers);
        self.append_even(len)
    }

    /// Appends texts to a column of texts. False for another column.
    pub fn append_texts(&mut self, texts: Vec<EcoString>) -> bool {
        let len = texts.len();
        let Data::Text(held) = &mut self.data else { return false };
        held.append(texts);
        self.append_even(len)
    }

    /// Appends instants, the blank mark among them, to a column of instants. False for another
    /// column.
    pub fn append_instants(&mut self, instants: Vec<i64>) -> bool {
        let len = instants.len();
        let Data::Instant(held) = &mut self.data else { return false };
        held.append(instants);
        self.append_even(len)
    }

    /// True when the cells from `first` on, as many as a piece holds, are the very same in both.
    pub fn shares(&self, other: &Self, first: usize) -> bool {
        let odd = match (&self.odd, &other.odd) {
            (None, None) => true,
            (Some(a), Some(b)) => a.shares(b, first),
            _ => false,
        };
        odd && match (&self.data, &other.data) {
            (Data::Text(a), Data::Text(b)) => a.shares(b, first),
            (Data::Number(a), Data::Number(b)) => a.shares(b, first),
            (Data::Check(a), Data::Check(b)) => a.shares(b, first),
            (Data::Instant(a), Data::Instant(b)) => a.shares(b, first),
            (Data::Choice(a), Data::Choice(b)) => a.shares(b, first),
            (Data::Choices(a), Data::Choices(b)) => a.shares(b, first),
            (Data::Links(a), Data::Links(b)) => a.shares(b, first),
            (Data::Json(a), Data::Json(b)) => a.shares(b, first),
            _ => false,
        }
    }

    /// A column of texts.
    pub fn of_texts(texts: Chunks<EcoString>) -> Self {
        Self { data: Data::Text(texts), odd: None }
    }

    /// A column of links.
    pub fn of_links(links: Chunks<Option<Arc<[RecordId]>>>) -> Self {
        Self { data: Data::Links(links), odd: None }
    }

    /// Keeps the odd cells as long as the typed ones.
    fn append_even(&mut self, len: usize) -> bool {
        if let Some(odd) = &mut self.odd {
            odd.append(vec![None; len]);
        }
        true
    }

    /// Writes the typed cell; gives back the value when it does not fit the layout.
    fn put(&mut self, row: usize, cell: Cell) -> Option<Arc<Value>> {
        let mut odd = None;
        match (&mut self.data, cell) {
            (Data::Text(c), Cell::Text(text)) => c.set(row, text),
            (Data::Number(c), Cell::Number(number)) => c.set(row, number),
            (Data::Check(c), Cell::Checked) => c.set(row, true),
            (Data::Instant(c), Cell::Instant(ms)) => c.set(row, ms),
            (Data::Choice(c), Cell::Choice(at)) => c.set(row, at),
            (Data::Choices(c), Cell::Choices(list)) => c.set(row, Some(list)),
            (Data::Links(c), Cell::Links(list)) => c.set(row, Some(list)),
            (Data::Json(c), Cell::Json(value)) => c.set(row, Some(value)),
            (data, cell) => {
                odd = match cell {
                    Cell::Json(value) => Some(value),
                    Cell::Text(text) => Some(Arc::new(Value::from(text.as_str()))),
                    Cell::Number(number) => {
                        Some(Arc::new(tablewright_core::model::cell::json_number(number)))
                    }
                    Cell::Checked => Some(Arc::new(Value::Bool(true))),
                    _ => None,
                };
                match data {
                    Data::Text(c) => c.set(row, EcoString::new()),
                    Data::Number(c) => c.set(row, f64::from_bits(BLANK_NUMBER)),
                    Data::Check(c) => c.set(row, false),
                    Data::Instant(c) => c.set(row, BLANK_INSTANT),
                    Data::Choice(c) => c.set(row, BLANK_CHOICE),
                    Data::Choices(c) => c.set(row, None),
                    Data::Links(c) => c.set(row, None),
                    Data::Json(c) => c.set(row, odd.take()),
                }
            }
        }
        odd
    }
}

/// The number a cell holds; `None` for the blank mark.
pub fn number(held: f64) -> Option<f64> {
    (held.to_bits() != BLANK_NUMBER).then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn odd_cells_live_beside_typed_ones() {
        let mut column = Column::blank(&FieldType::Number { precision: 0 }, 2);
        let odd = Cell::Json(Arc::new(json!({"specialValue": "NaN"})));
        column.set(1, odd.clone());
        column.push(Cell::Number(f64::NAN));
        column.push(Cell::Number(4.0));
        assert_eq!(column.get(0), Cell::Blank);
        assert_eq!(column.get(1), odd);
        assert!(matches!(column.get(2), Cell::Number(n) if n.is_nan()), "a computed NaN is not blank");
        column.set(1, Cell::Number(2.0));
        assert_eq!(column.get(1), Cell::Number(2.0));
        column.set(3, Cell::Blank);
        assert_eq!(column.get(3), Cell::Blank);
    }
}
