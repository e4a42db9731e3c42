//! A room and a route in one value. Everything in the room that belongs to the route shares it, so each needs one
//! pointer instead of two.

use crate::origin::Route;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// A room, and a route by which clients came to it.
pub(super) struct OnRoute<R> {
    pub room: Rc<R>,
    pub route: Arc<Route>,
}

impl<R> OnRoute<R> {
    /// A value of `room` and `route`. Shares the `last` value if it is of the same route.
    pub fn share(room: &Rc<R>, route: Arc<Route>, last: &RefCell<Weak<OnRoute<R>>>) -> Rc<OnRoute<R>> {
        if let Some(last) = last.borrow().upgrade().filter(|last| Arc::ptr_eq(&last.route, &route)) {
            return last;
        }
        let new = Rc::new(OnRoute { room: room.clone(), route });
        *last.borrow_mut() = Rc::downgrade(&new);
        new
    }
}
