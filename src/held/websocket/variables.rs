//! The variables that an application has set for a WebSocket over HTTP. Every request repeats them, so they are kept as long
//! as the WebSocket is open.

use crate::context::{Booking, Kind, Owner};
use crate::proto::grip::may_have;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The variables of a WebSocket.
#[derive(Default)]
pub(super) struct Variables {
    by_name: BTreeMap<String, String>,
    booking: Booking,
}

impl Variables {
    /// Sets variables, and books their bytes for `owner`. An empty value deletes a variable. Returns `false` if there are
    /// too many afterwards.
    pub fn set(&mut self, set: Vec<(String, String)>, owner: Rc<Owner>) -> bool {
        for (name, value) in set {
            match value.is_empty() {
                true => drop(self.by_name.remove(&name)),
                false => drop(self.by_name.insert(name, value)),
            }
        }
        let bytes = self.by_name.iter().map(|(name, value)| name.capacity() + value.capacity() + PLACE_BYTES);
        self.booking = owner.book(Kind::Variables, bytes.sum());
        may_have(self.by_name.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Whether there are no variables.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The variables by name.
    pub fn by_name(&self) -> &BTreeMap<String, String> {
        &self.by_name
    }
}

/// Bytes of a variable besides its text: its place in the map.
const PLACE_BYTES: usize = 2 * size_of::<String>();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Accounts;

    #[test]
    fn an_empty_value_deletes_a_variable_and_gives_its_bytes_back() {
        let (accounts, mut variables) = (Accounts::default(), Variables::default());
        let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(variables.set(set("user", "someone"), accounts.nobody()));
        assert!(accounts.bytes_of(Kind::Variables) >= "usersomeone".len());
        assert!(!variables.set(set("much", &"x".repeat(1_000_000)), accounts.nobody()));
        for name in ["much", "user"] {
            assert!(variables.set(set(name, ""), accounts.nobody()));
        }
        assert!(variables.is_empty());
        assert_eq!(accounts.bytes(), 0);
    }
}
