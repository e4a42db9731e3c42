//! The interface of holds over HTTP that can be opened.

use crate::clients::Held;
use crate::ids::Slot;
use std::rc::Rc;

/// A hold that takes over the client when its opening was sent.
pub(super) trait Opens: Held {
    /// The client in `slot` was sent the opening.
    fn opened(self: Rc<Self>, slot: Slot);
}
