//! A vector in shared pieces: a clone costs pointers, a write copies one piece.

use std::sync::Arc;

/// Items per piece. Large enough for tight loops, small enough to copy on a write.
pub const CHUNK: usize = 1024;

/// A vector whose clones share what they have in common.
#[derive(Clone, Debug)]
pub struct Chunks<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Chunks<T> {
    /// `len` copies of `item`.
    pub fn filled(len: usize, item: &T) -> Self {
        let whole = Arc::new(vec![item.clone(); CHUNK.min(len)]);
        let mut chunks = vec![whole; len / CHUNK];
        if !len.is_multiple_of(CHUNK) {
            chunks.push(Arc::new(vec![item.clone(); len % CHUNK]));
        }
        Self { chunks, len }
    }

    /// True when the piece that starts at `first` is the very same in both.
    pub fn shares(&self, other: &Self, first: usize) -> bool {
        let piece = |chunks: &Self| chunks.chunks.get(first / CHUNK).cloned();
        piece(self).zip(piece(other)).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b))
    }

    /// Appends the piece of `other` that starts at `first`, when both are whole up to there.
    pub fn share(&mut self, other: &Self, first: usize) -> bool {
        let Some(piece) = other.chunks.get(first / CHUNK).filter(|_| first == self.len) else { return false };
        if !first.is_multiple_of(CHUNK) {
            return false;
        }
        self.len += piece.len();
        self.chunks.push(piece.clone());
        true
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item at `at`.
    ///
    /// # Panics
    /// When `at` is not below [`Chunks::len`].
    pub fn get(&self, at: usize) -> &T {
        &self.chunks[at / CHUNK][at % CHUNK]
    }

    /// The items of the piece that starts at `first`, a multiple of [`CHUNK`].
    pub fn piece(&self, first: usize) -> Option<&[T]> {
        self.chunks.get(first / CHUNK).map(|chunk| chunk.as_slice()).filter(|_| first.is_multiple_of(CHUNK))
    }

    /// Replaces the item at `at`.
    pub fn set(&mut self, at: usize, item: T) {
        Arc::make_mut(&mut self.chunks[at / CHUNK])[at % CHUNK] = item;
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(if self.len == 0 { 0 } else { CHUNK })));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(item);
        }
        self.len += 1;
    }

    /// Appends many items; a whole piece at a piece's edge is taken as it is.
    pub fn append(&mut self, items: Vec<T>) {
        if self.len.is_multiple_of(CHUNK) && items.len() <= CHUNK {
            self.len += items.len();
            if !items.is_empty() {
                self.chunks.push(Arc::new(items));
            }
        } else {
            items.into_iter().for_each(|item| self.push(item));
        }
    }

    /// All items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_and_do_not_see_later_writes() {
        let mut a: Chunks<usize> = Chunks::default();
        for i in 0..3000 {
            a.push(i);
        }
        let before = a.clone();
        a.set(1500, 7);
        a.push(9);
        assert_eq!((*before.get(1500), before.len()), (1500, 3000));
        assert_eq!((*a.get(1500), *a.get(3000), a.len()), (7, 9, 3001));
        assert!(Arc::ptr_eq(&a.chunks[0], &before.chunks[0]), "untouched pieces stay shared");
        assert!(before.iter().copied().eq(0..3000));
    }
}
