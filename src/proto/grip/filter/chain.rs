//! Runs the filters of one subscription over one item. Each filter decides whether the next filter runs, and the next
//! filter gets the content that the filter before made. If a filter has to ask an application, the run stops there,
//! and the caller continues it with the application's answer.

use super::build_id::IdRenderer;
use super::template::{Variables, fill_in};
use super::{Context, Filter, FilterError, value_of};
use bytes::Bytes;

/// A run of filters.
pub struct Chain<'f> {
    rest: &'f [Filter],
    /// The content to filter; `None` if the item is an action without a message.
    content: Option<Bytes>,
    is_changed: bool,
}

/// The result of a run, so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The item is delivered with the current content.
    Deliver,
    /// The item is dropped for the subscriber.
    Drop,
    /// An application decides; the caller calls [`Chain::goes_on`] unless the application drops the item.
    Ask(Filter),
}

impl<'f> Chain<'f> {
    /// A run that begins with the first of `filters`. Without `content` there is nothing for filters to change.
    pub fn new(filters: &'f [Filter], content: Option<Bytes>) -> Chain<'f> {
        Chain { rest: filters, content, is_changed: false }
    }

    /// Runs filters until the item is decided on, or an application has to be asked.
    ///
    /// # Errors
    /// A filter cannot make its content, so the item cannot be delivered.
    pub fn run(&mut self, context: &Context) -> Result<Step, FilterError> {
        while let Some((filter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let passes = match filter {
                Filter::SkipSelf => !is_own(context),
                Filter::SkipUsers => !is_skipped(context),
                Filter::RequireSub => has_required(context),
                Filter::BuildId => self.change(|content| IdRenderer::of_item(context).render(content))?,
                Filter::VarSubst => self.change(|content| substitute(context, content))?,
                asking => return Ok(Step::Ask(*asking)),
            };
            if !passes {
                return Ok(Step::Drop);
            }
        }
        Ok(Step::Deliver)
    }

    /// The application lets the item pass, with `content` in place of the current content if it sent any.
    pub fn goes_on(&mut self, content: Option<Bytes>) {
        if self.content.is_some() && content.is_some() {
            (self.content, self.is_changed) = (content, true);
        }
    }

    /// The current content; empty if there is none.
    pub fn content(&self) -> Bytes {
        self.content.clone().unwrap_or_default()
    }

    /// The content, if filters changed it.
    pub fn changed(self) -> Option<Bytes> {
        self.content.filter(|_| self.is_changed)
    }

    fn change(
        &mut self,
        make: impl FnOnce(&[u8]) -> Result<Bytes, FilterError>,
    ) -> Result<bool, FilterError> {
        if let Some(content) = &self.content {
            self.content = Some(make(content)?);
            self.is_changed = true;
        }
        Ok(true)
    }
}

fn is_own(context: &Context) -> bool {
    value_of(context.subscriber, "user").is_some_and(|user| value_of(context.item, "sender") == Some(user))
}

fn is_skipped(context: &Context) -> bool {
    let mut skipped = value_of(context.item, "skip_users").unwrap_or_default().split(',').map(str::trim);
    value_of(context.subscriber, "user").is_some_and(|user| skipped.any(|skipped| skipped == user))
}

fn has_required(context: &Context) -> bool {
    value_of(context.item, "require_sub")
        .is_none_or(|required| context.channels.iter().any(|(channel, _)| channel == required))
}

fn substitute(context: &Context, content: &[u8]) -> Result<Bytes, FilterError> {
    // The value of a variable may be empty.
    let value =
        |name: &str| context.subscriber.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    fill_in(content, &Variables(&value)).map(Bytes::from).map_err(FilterError::Substitution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::grip::publication::Meta;

    fn run(
        filters: &[Filter],
        subscriber: &[(&str, &str)],
        item: &[(&str, &str)],
    ) -> Result<Step, FilterError> {
        let subscriber: Vec<_> =
            subscriber.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let item: Meta = item.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let channels = [("a".to_owned(), None), ("b".to_owned(), Some("1".into()))];
        let context = Context { subscriber: &subscriber, item: &item, channels: &channels };
        Chain::new(filters, Some("x".into())).run(&context)
    }

    #[test]
    fn delivery_is_decided_by_what_both_sides_say() {
        use Filter::{RequireSub, SkipSelf, SkipUsers};
        type Pairs = &'static [(&'static str, &'static str)];
        let alice: Pairs = &[("user", "alice")];
        let table: &[(Filter, Pairs, Pairs, Step)] = &[
            (SkipSelf, alice, &[("sender", "alice")], Step::Drop),
            (SkipSelf, alice, &[("sender", "bob")], Step::Deliver),
            (SkipSelf, alice, &[], Step::Deliver),
            (SkipSelf, &[("user", "")], &[("sender", "")], Step::Deliver),
            (SkipUsers, alice, &[("skip_users", "bob, alice ,carol")], Step::Drop),
            (SkipUsers, alice, &[("skip_users", "bob,al")], Step::Deliver),
            (SkipUsers, &[("user", "")], &[("skip_users", ",")], Step::Deliver),
            (RequireSub, &[], &[("require_sub", "b")], Step::Deliver),
            (RequireSub, &[], &[("require_sub", "c")], Step::Drop),
            (RequireSub, &[], &[("require_sub", "")], Step::Deliver),
        ];
        for (filter, subscriber, item, step) in table {
            assert_eq!(run(&[*filter], subscriber, item), Ok(*step), "{filter:?} {subscriber:?} {item:?}");
        }
    }

    #[test]
    fn filters_run_in_order_until_one_drops_or_asks() {
        let meta = [("user", "a"), ("id_format", "7")];
        let own = [("sender", "a")];
        use Filter::{BuildId, HttpCheck, SkipSelf, VarSubst};
        assert_eq!(run(&[SkipSelf, HttpCheck], &meta, &own), Ok(Step::Drop));
        assert_eq!(run(&[HttpCheck, SkipSelf], &meta, &own), Ok(Step::Ask(HttpCheck)));
        assert_eq!(run(&[BuildId, SkipSelf], &meta, &own), Ok(Step::Drop));
        let subscriber = meta.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let channels = [("c".to_owned(), None)];
        let context = Context { subscriber: &subscriber, item: &Box::default(), channels: &channels };
        // A filter reads directives that the filter before it inserted.
        let mut chain = Chain::new(&[VarSubst, BuildId], Some("%%I %(user)s".into()));
        assert_eq!(chain.run(&context), Ok(Step::Deliver));
        assert_eq!(chain.changed().as_deref(), Some(&b"7 a"[..]));
    }

    #[test]
    fn what_an_application_answers_is_the_content_of_the_next() {
        let subscriber = [("user".to_owned(), "a".to_owned())];
        let context = Context { subscriber: &subscriber, item: &Box::default(), channels: &[] };
        let filters = [Filter::HttpModify, Filter::VarSubst];
        let mut chain = Chain::new(&filters, Some("x".into()));
        assert_eq!((chain.run(&context), chain.content()), (Ok(Step::Ask(Filter::HttpModify)), "x".into()));
        chain.goes_on(Some("%(user)s".into()));
        assert_eq!((chain.run(&context), chain.changed()), (Ok(Step::Deliver), Some("a".into())));
        // An action without a message has no content, whatever the application answers.
        let mut chain = Chain::new(&filters, None);
        assert_eq!(chain.run(&context), Ok(Step::Ask(Filter::HttpModify)));
        chain.goes_on(Some("%".into()));
        assert_eq!((chain.run(&context), chain.changed()), (Ok(Step::Deliver), None));
    }
}
