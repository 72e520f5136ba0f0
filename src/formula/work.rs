//! One evaluation: its arena, its clock and its bounds.

use std::cell::{Cell, RefCell};

use bumpalo::Bump;

use crate::fault::Fault;

/// Longest text or list a step may make, in bytes or items.
pub const MAX_TEXT_RESULT: usize = 200_000;
/// Most work for one row: bytes read or made, items met, functions called.
pub const MAX_WORK_PER_ROW: u64 = 20_000_000;

/// Most work for one batch of rows before it goes row by row.
const MAX_WORK_PER_BATCH: u64 = 50_000_000;

/// What an evaluation needs beside the program and the rows.
pub struct Work<'a> {
    /// Where texts and lists live.
    pub arena: &'a Bump,
    /// This moment, in milliseconds since the epoch.
    pub now: i64,
    left: Cell<u64>,
    spent: Cell<bool>,
    used: Cell<u64>,
    spare: RefCell<Vec<String>>,
}

impl<'a> Work<'a> {
    /// A new evaluation at `now`.
    pub fn new(arena: &'a Bump, now: i64) -> Self {
        Self {
            arena,
            now,
            left: Cell::new(MAX_WORK_PER_ROW),
            spent: Cell::new(false),
            used: Cell::new(0),
            spare: RefCell::default(),
        }
    }

    /// Starts the next row: its bound is whole again.
    pub fn next_row(&self) {
        self.refill(MAX_WORK_PER_ROW);
    }

    /// Starts a batch of rows that share one bound. A batch that needs more goes row by row, so
    /// the bound also holds what the arena can grow to.
    pub fn next_rows(&self) {
        self.refill(MAX_WORK_PER_BATCH);
    }

    fn refill(&self, amount: u64) {
        self.left.set(amount);
        self.spent.set(false);
    }

    /// True when the bound was reached since the last row or batch began.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// All the work done so far.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// Counts work that was done elsewhere for this evaluation.
    pub fn note(&self, amount: u64) {
        self.used.set(self.used.get().wrapping_add(amount));
    }

    /// Takes `amount` of the work that is left.
    #[inline]
    pub fn spend(&self, amount: usize) -> Result<(), Fault> {
        let amount = amount as u64 + 1;
        self.used.set(self.used.get().wrapping_add(amount));
        match self.left.get().checked_sub(amount) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.spent.set(true);
                Err(Fault::TooMuchWork)
            }
        }
    }

    /// An empty text to build in.
    #[inline]
    pub fn builder(&self) -> String {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Moves a built text into the arena.
    pub fn finish(&self, mut built: String) -> Result<&'a str, Fault> {
        let kept = if built.len() > MAX_TEXT_RESULT {
            Err(Fault::TooLong)
        } else {
            self.spend(built.len()).map(|()| &*self.arena.alloc_str(&built))
        };
        built.clear();
        if built.capacity() <= 64 * 1024 {
            self.spare.borrow_mut().push(built);
        }
        kept
    }
}
