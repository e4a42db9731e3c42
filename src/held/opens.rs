//! What a hold over HTTP becomes once the homes of its channels have acknowledged it.

use crate::clients::Held;
use crate::ids::Slot;
use std::rc::Rc;

/// Something that holds a client from when its opening was sent.
pub(super) trait Opens: Held {
    /// The client in `slot` was sent the opening.
    fn opened(self: Rc<Self>, slot: Slot);
}
