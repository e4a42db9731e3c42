//! Items that may be published here. Publishers have their items [`Admitted`] before the homes of these are looked for, and
//! [`Publishing::publish`](super::Publishing::publish) takes nothing else: so what decides on items, as scopes of tokens do,
//! decides in this file. What backplanes bring comes to its home by `backplanes`: items of other nodes, which were admitted
//! there, and those of sockets where everybody may publish everything.

use crate::config::Grants;
use crate::proto::grip::Publication;
use std::sync::Arc;

/// Items that may be published, in the order of their publisher.
///
/// This is where a hook on publish is called, for both constructors: once for each item, on the core that took it, before
/// anything is counted, a receipt is expected or a home is found. It may refuse items, or put others in their place. A
/// publisher by HTTP or a stream socket can wait for a hook. A hook for datagrams and backplanes must answer at once, because
/// these are taken within a turn of the core's loop.
#[derive(Debug)]
pub struct Admitted(Vec<Publication>);

/// An item that its publisher may not publish. None of the items that came with it is published either.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("publishing to `{channel}` is not allowed")]
pub struct Refused {
    /// The channel of the first such item.
    pub channel: Arc<str>,
}

impl Admitted {
    /// `items` of a publisher who may do what `grants` say.
    ///
    /// # Errors
    /// When one of them is for a channel to which the publisher may not publish.
    pub fn by(grants: &Grants, items: Vec<Publication>) -> Result<Admitted, Refused> {
        match items.iter().find(|item| !grants.may_publish_to(&item.channel)) {
            Some(item) => Err(Refused { channel: item.channel.clone() }),
            None => Ok(Admitted(items)),
        }
    }

    /// `items` of a publisher who may publish everything: an operator, a built-in application, a user of this machine.
    pub fn all(items: Vec<Publication>) -> Admitted {
        Admitted(items)
    }

    /// The items, so that receipts can be asked for (`Delivery::expect_receipts`). Their channels must stay as admitted.
    pub fn items(&mut self) -> &mut [Publication] {
        &mut self.0
    }

    /// The items, to be published or, if that was not possible, thrown away.
    pub(super) fn into_items(self) -> Vec<Publication> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_admitted_together_and_in_order_or_the_first_that_is_refused_is_named() {
        let admitted = |publish: &[&str], channels: &[&str]| {
            let publish = publish.iter().map(|prefix| (*prefix).to_owned()).collect();
            let items = channels.iter().map(|channel| Publication::new(channel)).collect();
            let admitted = Admitted::by(&Grants { publish, ..Grants::default() }, items);
            let channels =
                |items: Vec<Publication>| items.iter().map(|item| item.channel.to_string()).collect();
            admitted.map(|admitted| channels(admitted.into_items())).map_err(|Refused { channel }| channel)
        };
        let all: Vec<String> = vec!["a-2".into(), "a-1".into()];
        assert_eq!(admitted(&["a-"], &["a-2", "a-1"]), Ok(all.clone()));
        assert_eq!(admitted(&[""], &["a-2", "a-1"]), Ok(all));
        assert_eq!(admitted(&["a-"], &["a-1", "c", "b"]), Err("c".into()));
        assert_eq!(admitted(&[], &["a-1"]), Err("a-1".into()));
        assert_eq!(admitted(&[], &[]), Ok(Vec::new()));
    }
}
