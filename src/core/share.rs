//! Bytes that are counted where they are kept, and given back when whoever keeps them lets go.

use std::cell::Cell;
use std::rc::Rc;

/// The bytes that all of a kind keep on a core.
#[derive(Clone, Default)]
pub(super) struct Kept(Rc<Cell<usize>>);

/// Those of one.
#[derive(Default)]
pub(super) struct Share {
    of: Kept,
    bytes: usize,
}

impl Kept {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }
}

impl Share {
    /// It keeps so many bytes now, of all that are counted in `of`.
    pub fn set(&mut self, of: &Kept, bytes: usize) {
        if self.bytes == 0 {
            self.of = of.clone();
        }
        self.of.0.set(self.of.0.get() - self.bytes + bytes);
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.set(self.of.0.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_back_however_it_ends() {
        let all = Kept::default();
        let (mut one, mut other) = (Share::default(), Share::default());
        one.set(&all, 10);
        other.set(&all, 5);
        one.set(&all, 3);
        assert_eq!(all.bytes(), 8);
        one.set(&all, 0);
        one.set(&all, 1);
        drop((one, other));
        assert_eq!(all.bytes(), 0);
    }
}
