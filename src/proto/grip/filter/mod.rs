//! Filters of subscriptions decide whether an item is delivered to a subscriber, and with which content. An
//! application names at most five filters for a channel, and they run in that order; an unknown name filters nothing.
//!
//! `chain` runs the filters of one subscription over one item, as far as this server can decide alone: for some
//! filters the caller has to ask an application. `template` replaces the directives of build-id (`build_id`) and
//! var-subst.

mod build_id;
mod chain;
mod template;

pub use build_id::{IdRenderer, IdRendering};
pub use chain::{Chain, Step};
pub use template::TemplateError;

use crate::proto::grip::publication::Meta;
use serde::{Deserialize, Serialize};

/// The most filters of one subscription.
pub const FILTERS_MAX: usize = 5;

/// The most variables that one WebSocket may be given over time; the second number bounds their bytes.
const VARIABLES_MAX: usize = 100;
const VARIABLE_BYTES_MAX: usize = 64 * 1024;

/// Whether a subscriber may have all these variables (names and values).
pub fn may_have<'v>(variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> bool {
    let lengths = variables.into_iter().map(|(name, value)| name.len() + value.len());
    let (count, bytes) = lengths.fold((0, 0), |(count, bytes), length| (count + 1, bytes + length));
    count <= VARIABLES_MAX && bytes <= VARIABLE_BYTES_MAX
}

/// A filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Filter {
    /// Drops items that the subscriber's own user sent: `user` of the subscriber equals `sender` of the item.
    SkipSelf,
    /// Drops the item for users that it lists in `skip_users`.
    SkipUsers,
    /// Delivers the item only to subscribers of the channel that it names in `require_sub`.
    RequireSub,
    /// Inserts ids into the content, made by `id_format` of the subscriber.
    BuildId,
    /// Inserts variables of the subscriber into the content.
    VarSubst,
    /// An application decides whether the item is delivered.
    HttpCheck,
    /// An application decides whether the item is delivered, and with which content.
    HttpModify,
}

/// Why an item cannot be delivered. The text is shown to clients of routes with `debug`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The texts describe the variants.
pub enum FilterError {
    #[error("build-id: no sub meta 'id_format'")]
    NoIdFormat,
    #[error("build-id: unsupported encoding: {0}")]
    IdEncoding(String),
    #[error("build-id: failed to render ID: {0}")]
    Id(TemplateError),
    #[error("build-id: {0}")]
    IdContent(TemplateError),
    #[error("var-subst: {0}")]
    Substitution(TemplateError),
}

/// The facts by which filters decide.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Variables of the subscriber.
    pub subscriber: &'a SubscriberMeta,
    /// Variables of the item.
    pub item: &'a Meta,
    /// The subscriber's channels by the names that the application gave, each with the id of the last item on it that
    /// the subscriber has, the current item included; `None` if the subscriber follows no ids there.
    pub channels: &'a [(String, Option<Box<str>>)],
}

/// Names and values, each name once.
pub type SubscriberMeta = [(String, String)];

impl Filter {
    const ALL: [Filter; 7] = [
        Filter::SkipSelf,
        Filter::SkipUsers,
        Filter::RequireSub,
        Filter::BuildId,
        Filter::VarSubst,
        Filter::HttpCheck,
        Filter::HttpModify,
    ];

    /// The known filters among `names`, in their order.
    pub fn of(names: &[String]) -> Box<[Filter]> {
        names.iter().filter_map(|name| Filter::ALL.into_iter().find(|filter| filter.name() == name)).collect()
    }

    /// The filter's name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Filter::SkipSelf => "skip-self",
            Filter::SkipUsers => "skip-users",
            Filter::RequireSub => "require-sub",
            Filter::BuildId => "build-id",
            Filter::VarSubst => "var-subst",
            Filter::HttpCheck => "http-check",
            Filter::HttpModify => "http-modify",
        }
    }

    /// Whether the filter may change the content.
    pub fn changes_content(self) -> bool {
        matches!(self, Filter::BuildId | Filter::VarSubst | Filter::HttpModify)
    }

    /// Whether an application decides.
    pub fn asks(self) -> bool {
        matches!(self, Filter::HttpCheck | Filter::HttpModify)
    }

    /// Whether the filter uses the subscriber's channels.
    pub fn looks_at_channels(self) -> bool {
        matches!(self, Filter::RequireSub | Filter::BuildId)
    }
}

/// The value of `name`, if it is present and not empty.
fn value_of<'m, S: AsRef<str>>(meta: &'m [(S, S)], name: &str) -> Option<&'m str> {
    let value = meta.iter().find(|(own, _)| own.as_ref() == name).map(|(_, value)| value.as_ref());
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_known_are_left_out() {
        let names = ["var-subst", "no-such", "skip-self", "var-subst"].map(str::to_owned);
        assert_eq!(*Filter::of(&names), [Filter::VarSubst, Filter::SkipSelf, Filter::VarSubst]);
    }

    #[test]
    fn what_is_announced_is_what_is_known() {
        let announced = crate::proto::grip::GRIP_FEATURE.split(", ");
        let announced: Vec<_> = announced.filter_map(|feature| feature.strip_prefix("filter:")).collect();
        assert_eq!(announced, Filter::ALL.map(Filter::name));
    }
}
