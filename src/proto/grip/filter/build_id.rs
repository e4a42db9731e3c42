//! The filter build-id: replaces `%I` in content by the subscriber's id, and `%(id)I` by the id that the publisher
//! names. The subscriber's id is made of the ids of all its channels by its variable `id_format` (`%(channel)s` is
//! the id of one channel). If `id_encoding` is `hex`, ids are written in hexadecimal. The response that an
//! application holds is rendered too, without a default id for `%I`.

use super::template::{DirectiveError, Directives, Partial, Variables, fill_in};
use super::{Context, FilterError, SubscriberMeta};
use bytes::Bytes;
use std::borrow::Cow;

/// Renders content for one subscriber.
#[derive(Clone, Debug)]
pub struct IdRenderer(Result<Ids, FilterError>);

/// Renders content that arrives in parts.
#[derive(Clone, Debug)]
pub struct IdRendering {
    renderer: IdRenderer,
    partial: Partial,
}

#[derive(Clone, Debug)]
struct Ids {
    /// The subscriber's id, or why it cannot be made; `None` if there is no default id for `%I`.
    own: Option<Result<Vec<u8>, FilterError>>,
    hex: bool,
}

impl IdRenderer {
    /// A renderer of an application's response.
    pub fn of_answer(meta: &SubscriberMeta) -> IdRenderer {
        IdRenderer(ids(meta, &[]))
    }

    /// A renderer of an item.
    pub(super) fn of_item(context: &Context) -> IdRenderer {
        IdRenderer(ids(context.subscriber, context.channels))
    }

    /// Renders the whole content.
    ///
    /// # Errors
    /// A directive is invalid, or its id cannot be made.
    pub fn render(self, content: &[u8]) -> Result<Bytes, FilterError> {
        let mut rendering = self.begin();
        let rendered = rendering.push(content)?;
        rendering.finish()?;
        Ok(rendered)
    }

    /// Begins to render content that arrives in parts.
    pub fn begin(self) -> IdRendering {
        IdRendering { renderer: self, partial: Partial::default() }
    }
}

impl IdRendering {
    /// Renders one more part, as far as its directives are complete.
    ///
    /// # Errors
    /// A directive is invalid, or its id cannot be made.
    pub fn push(&mut self, part: &[u8]) -> Result<Bytes, FilterError> {
        let ids = self.renderer.0.as_ref().map_err(Clone::clone)?;
        let mut out = Vec::with_capacity(part.len());
        match self.partial.push(part, ids, &mut out) {
            Ok(()) => Ok(out.into()),
            Err(error) => Err(ids.why_not_own().unwrap_or(FilterError::IdContent(error))),
        }
    }

    /// Ends the content.
    ///
    /// # Errors
    /// The content ends within a directive.
    pub fn finish(&self) -> Result<(), FilterError> {
        self.partial.finish().map_err(FilterError::IdContent)
    }
}

fn ids(meta: &SubscriberMeta, channels: &[(String, Option<Box<str>>)]) -> Result<Ids, FilterError> {
    let value = |name: &str| meta.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let format = value("id_format").ok_or(FilterError::NoIdFormat)?;
    let hex = match value("id_encoding") {
        None => false,
        Some("hex") => true,
        Some(other) => return Err(FilterError::IdEncoding(other.to_owned())),
    };
    let id_of = |name: &str| channels.iter().find(|(channel, _)| channel == name)?.1.as_deref();
    let own = || fill_in(format.as_bytes(), &Variables(&id_of)).map_err(FilterError::Id);
    Ok(Ids { own: (!channels.is_empty()).then(own), hex })
}

impl Ids {
    /// Why there is no id for `%I`.
    fn why_not_own(&self) -> Option<FilterError> {
        self.own.as_ref()?.as_ref().err().cloned()
    }
}

impl Directives for Ids {
    fn fill_in<'a>(
        &'a self,
        letter: u8,
        argument: Option<&'a [u8]>,
    ) -> Result<Cow<'a, [u8]>, DirectiveError> {
        if letter != b'I' {
            return Err(DirectiveError::Unknown(char::from(letter)));
        }
        let id = match (argument, &self.own) {
            (Some(id), _) => id,
            (None, Some(Ok(id))) => id.as_slice(),
            (None, _) => return Err(DirectiveError::NoId),
        };
        Ok(match self.hex {
            true => Cow::Owned(id.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
            false => Cow::Borrowed(id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn render(pairs: &[(&str, &str)], ids: &[(&str, Option<&str>)], content: &str) -> Result<String, String> {
        let channels: Vec<_> = ids.iter().map(|(name, id)| (name.to_string(), id.map(Box::from))).collect();
        let context = Context { subscriber: &meta(pairs), item: &Box::default(), channels: &channels };
        let rendered = IdRenderer::of_item(&context).render(content.as_bytes());
        rendered.map(|text| String::from_utf8_lossy(&text).into_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn ids_are_made_of_those_of_the_channels() {
        let format = ("id_format", "a:%(a)s,b:%(b)s%%");
        let ids = [("a", Some("1")), ("b", Some("x y"))];
        assert_eq!(render(&[format], &ids, "id: %I\n"), Ok("id: a:1,b:x y%\n".into()));
        let hex = [("id_format", "%(a)s"), ("id_encoding", "hex")];
        assert_eq!(render(&hex, &ids, "%I %(k)I %%"), Ok("31 6b %".into()));
    }

    #[test]
    fn errors_say_what_is_missing() {
        type Pairs = &'static [(&'static str, &'static str)];
        let table: &[(Pairs, &str, &str)] = &[
            (&[], "x", "build-id: no sub meta 'id_format'"),
            (&[("id_format", ""), ("id_encoding", "base64")], "x", "build-id: unsupported encoding: base64"),
            (
                &[("id_format", "%(b)s")],
                "%I",
                "build-id: failed to render ID: No such variable 'b' at position 4",
            ),
            (
                &[("id_format", "%(quiet)s")],
                "%I",
                "build-id: failed to render ID: No such variable 'quiet' at position 8",
            ),
            (&[("id_format", "x")], "%(a)s", "build-id: Unknown directive 's' at position 4"),
            (&[("id_format", "x")], "%", "build-id: Expected directive after '%' at position 0"),
        ];
        for (pairs, content, error) in table {
            assert_eq!(render(pairs, &[("a", Some("1")), ("quiet", None)], content), Err(error.to_string()));
        }
        let named = render(&[("id_format", "%(b)s")], &[("a", Some("1"))], "%(k)I");
        assert_eq!(named, Ok("k".into()), "what is not needed need not be made");
    }

    #[test]
    fn an_answer_has_ids_that_are_named_and_no_others() {
        let answer =
            |content: &str| IdRenderer::of_answer(&meta(&[("id_format", "x")])).render(content.as_bytes());
        assert_eq!(answer("%(k)I").as_deref(), Ok(&b"k"[..]));
        let error = answer("a%I").unwrap_err().to_string();
        assert_eq!(error, "build-id: No ID specified and no default ID in context at position 2");
    }

    proptest! {
        #[test]
        fn an_answer_in_parts_is_the_same_as_whole(
            pieces in prop::collection::vec(prop::sample::select(vec!["%(k)I", "%%", "%", "(", "text", ")I", "\\"]), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let content = pieces.concat();
            let renderer = IdRenderer::of_answer(&meta(&[("id_format", "x"), ("id_encoding", "hex")]));
            let (one, two) = content.as_bytes().split_at(cut.index(content.len() + 1));
            let mut rendering = renderer.clone().begin();
            let parts = rendering.push(one).and_then(|one| Ok([one, rendering.push(two)?].concat()));
            let parts = parts.and_then(|parts| rendering.finish().map(|()| parts.into()));
            prop_assert_eq!(parts, renderer.render(content.as_bytes()));
        }
    }
}
