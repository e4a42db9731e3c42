//! One walk over a channel's subscribers with all items that were pending when it started. These items are sent
//! together, as one contiguous buffer for each stream transport: under load the cost is one send for each connection
//! and pass, not for each item.

use super::audience::Audience;
use super::reach::Counting;
use super::roster::{Entry, Roster, before};
use super::slice::{Items, Slice, SliceKind};
use super::transport::Transport;
use crate::proto::grip::{Format, Publication, ResponseFormat, Then};
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// The most items in one pass.
const PASS_PUBLICATIONS: usize = 256;
/// The most bytes in one pass; a single larger item is sent in a pass of its own.
const PASS_BYTES: usize = 1024 * 1024;
/// The last chunk of a chunked body (RFC 9112 section 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A pass in progress.
pub(super) struct Pass {
    /// The count of the pass's first item, and of the first item after the pass.
    first: u32,
    end: u32,
    /// Most passes have one item, which takes no memory of its own here.
    publications: Items,
    /// The effect of the last item on streams, and on WebSockets; the items before it have none.
    then_stream: Then,
    then_socket: Then,
    /// Index into [`Transport::ALL`].
    transport: usize,
    /// Entries below this index are still to be visited.
    cursor: usize,
    gathered: Gathered,
}

/// The content of a pass for one stream transport.
#[derive(Default)]
struct Gathered {
    frame: Bytes,
    /// For each item of the pass, the offset of its part.
    starts: SmallVec<[u32; 4]>,
    then: Then,
}

impl Pass {
    /// Takes up to `limit` items off `pending`, the first of which has the count `first`.
    pub fn new(pending: &mut VecDeque<Arc<Publication>>, first: u32, limit: usize) -> Pass {
        let (mut publications, mut bytes) = (Items::new(), 0);
        while let Some(next) = pending.front() {
            bytes += next.weight();
            let is_apart = bytes > PASS_BYTES || stands_alone(next);
            if publications.len() == PASS_PUBLICATIONS.min(limit) || (is_apart && !publications.is_empty()) {
                break;
            }
            publications.extend(pending.pop_front());
            // Items after the end of streams are for subscribers that join after it, and so for the next pass.
            let is_last =
                |publication: &Arc<Publication>| is_last_of_pass(publication) || stands_alone(publication);
            if publications.last().is_some_and(is_last) {
                break;
            }
        }
        let last = publications.last();
        let then_stream = last.map(|publication| publication.then_stream()).unwrap_or_default();
        let then_socket = last.map(|publication| publication.then_socket()).unwrap_or_default();
        let end = first.wrapping_add(publications.len() as u32);
        let gathered = Gathered::default();
        Pass {
            first,
            end,
            publications,
            then_stream,
            then_socket,
            transport: 0,
            cursor: usize::MAX,
            gathered,
        }
    }

    /// The count of the first item after this pass.
    #[cfg(test)]
    fn end(&self) -> u32 {
        self.end
    }

    /// The items of the pass.
    pub fn publications(&self) -> &[Arc<Publication>] {
        &self.publications
    }

    /// The number of items in this pass, and their bytes.
    pub fn weight(&self) -> (usize, usize) {
        (self.publications.len(), self.publications.iter().map(|publication| publication.weight()).sum())
    }

    /// Visits up to `budget` subscribers of one transport, and describes in `slice` what the core does for them.
    /// Returns whether the pass is over.
    pub fn advance(&mut self, roster: &mut Roster, budget: usize, slice: &mut Slice) -> bool {
        while let Some(transport) = self.transport() {
            let list = roster.list(transport);
            if list.is_empty() || !self.begin_transport(transport) {
                self.next_transport();
                continue;
            }
            if self.visit(transport, list, budget, slice) {
                self.next_transport();
            }
            return self.is_over(Some(transport), slice);
        }
        self.is_over(None, slice)
    }

    /// Whether all subscribers were visited, the last of them with `transport`; fills `slice.counting` if the item
    /// has a receipt.
    fn is_over(&self, transport: Option<Transport>, slice: &mut Slice) -> bool {
        let is_last = self.transport().is_none();
        slice.counting = self.publications.first().and_then(|item| {
            // Filters see items without a part for their transport, too.
            let speaks = |to: &Transport| Audience::of(*to, 1).concerned_by(item).total() > 0;
            Some(Counting { receipt: item.receipt?, transport: transport.filter(speaks), is_last })
        });
        is_last
    }

    /// The transport being served; `None` when the pass is over.
    fn transport(&self) -> Option<Transport> {
        Transport::ALL.get(self.transport).copied()
    }

    /// Gathers the content for `transport` before its first slice; returns whether its subscribers must be visited.
    fn begin_transport(&mut self, transport: Transport) -> bool {
        if self.cursor != usize::MAX || self.unfit(transport).is_some() {
            return true;
        }
        match transport {
            Transport::StreamChunked => {
                self.gathered = self.gather(Publication::stream_chunk, self.then_stream, LAST_CHUNK);
            }
            Transport::StreamRaw => {
                self.gathered = self.gather(Publication::stream_content, self.then_stream, b"");
            }
            // The close frame is the part of the closing item.
            Transport::Socket => {
                self.gathered = self.gather(Publication::socket_frame, self.then_socket, b"");
            }
            Transport::CompressedSocket => {
                self.gathered = self.gather(Publication::compressed_socket_frame, self.then_socket, b"");
            }
            Transport::Response => {
                return self.publications.iter().any(|it| it.response.is_some()) || self.renews();
            }
            // Subscribers with filters follow ids by themselves, so they need every item, even one without a part for
            // their transport.
            Transport::FilteredResponse | Transport::FilteredStream | Transport::FilteredSocket => {
                return true;
            }
        }
        self.gathered.speaks() || self.renews()
    }

    /// The item that must not be sent to the subscribers of `transport`, and their format. Such an item is alone in
    /// its pass.
    fn unfit(&self, transport: Transport) -> Option<(&Arc<Publication>, Format)> {
        let format = match transport {
            Transport::Response => Format::Response,
            Transport::StreamChunked | Transport::StreamRaw => Format::Stream,
            Transport::Socket | Transport::CompressedSocket => Format::Socket,
            Transport::FilteredResponse | Transport::FilteredStream | Transport::FilteredSocket => {
                return None;
            }
        };
        Some((self.publications.first().filter(|item| !item.is_plain(format))?, format))
    }

    /// Whether every subscriber must be visited even if there is no content for it. This is so once in 2^30 items:
    /// counts wrap, and the `next` of an entry that was never visited would in time seem to be in the future.
    fn renews(&self) -> bool {
        self.first >> 30 != self.end >> 30
    }

    /// Moves on to the next transport.
    fn next_transport(&mut self) {
        self.transport += 1;
        self.cursor = usize::MAX;
    }

    /// Visits up to `budget` of `list`, the subscribers of the current transport, and describes in `slice` what the
    /// core does for them. Returns whether all of them were visited.
    fn visit(&mut self, transport: Transport, list: &mut [Entry], budget: usize, slice: &mut Slice) -> bool {
        // With filters, each item is a delivery of its own.
        let budget =
            if transport.is_filtered() { (budget / self.publications.len().max(1)).max(1) } else { budget };
        // The list may have shrunk below the cursor since the last slice.
        let top = self.cursor.min(list.len());
        let bottom = top.saturating_sub(budget);
        self.cursor = bottom;
        let entries = list.get_mut(bottom..top).unwrap_or_default();
        match transport {
            _ if self.unfit(transport).is_some() => self.visit_unfit(transport, entries, slice),
            Transport::Response => self.visit_polls(entries, slice),
            Transport::StreamChunked
            | Transport::StreamRaw
            | Transport::Socket
            | Transport::CompressedSocket => self.visit_streams(entries, slice),
            Transport::FilteredResponse | Transport::FilteredStream | Transport::FilteredSocket => {
                self.visit_filtered(entries, slice);
            }
        }
        bottom == 0
    }

    fn visit_unfit(&self, transport: Transport, entries: &mut [Entry], slice: &mut Slice) {
        if let Some((item, format)) = self.unfit(transport) {
            slice.kind = SliceKind::Unfit { item: item.clone(), format };
            let due = entries.iter().rev().filter(|entry| self.due(entry).next().is_some());
            slice.slots.extend(due.map(|entry| entry.slot));
        }
        self.move_past(entries);
    }

    fn visit_streams(&self, entries: &mut [Entry], slice: &mut Slice) {
        if self.gathered.speaks() {
            self.hand_out(entries, slice);
        }
        self.move_past(entries);
    }

    fn hand_out(&self, entries: &[Entry], slice: &mut Slice) {
        slice.kind = SliceKind::Stream { frame: self.gathered.frame.clone(), then: self.gathered.then };
        slice.slots.reserve(entries.len());
        for entry in entries.iter().rev() {
            if !before(self.first, entry.next) {
                slice.slots.push(entry.slot);
            } else if before(entry.next, self.end) {
                let part = self.gathered.from(entry.next.wrapping_sub(self.first) as usize);
                // The items since the subscriber joined may have no part for its transport.
                if !part.is_empty() || self.gathered.then != Then::Stay {
                    slice.partial.push((entry.slot, part));
                }
            }
        }
    }

    /// Marks the items of the pass as delivered to `entries`.
    fn move_past(&self, entries: &mut [Entry]) {
        for entry in entries {
            if before(entry.next, self.end) {
                entry.next = self.end;
            }
        }
    }

    fn visit_polls(&self, entries: &mut [Entry], slice: &mut Slice) {
        let mut deliveries = Vec::new();
        for entry in entries.iter().rev() {
            let answer = self.due(entry).find(|publication| publication.response.is_some());
            deliveries.extend(answer.map(|publication| (entry.slot, publication.clone())));
        }
        self.move_past(entries);
        slice.kind = SliceKind::Response { deliveries };
    }

    fn visit_filtered(&self, entries: &mut [Entry], slice: &mut Slice) {
        let mut deliveries = Vec::with_capacity(entries.len());
        for entry in entries.iter().rev() {
            let items: Items = self.due(entry).cloned().collect();
            if !items.is_empty() {
                deliveries.push((entry.slot, items));
            }
        }
        self.move_past(entries);
        slice.kind = SliceKind::Filtered { deliveries };
    }

    /// The items of this pass that a subscriber has not got yet.
    fn due(&self, entry: &Entry) -> impl Iterator<Item = &Arc<Publication>> {
        let joined = entry.next.wrapping_sub(self.first);
        let skip = if before(self.first, entry.next) { joined as usize } else { 0 };
        self.publications.iter().skip(skip)
    }

    /// One buffer of all parts, with `terminator` behind them if the streams end.
    fn gather(
        &self,
        part_of: impl Fn(&Publication) -> Option<&Bytes>,
        then: Then,
        terminator: &[u8],
    ) -> Gathered {
        let ends = then == Then::End;
        let mut starts = SmallVec::with_capacity(self.publications.len());
        let mut length = 0;
        for publication in &self.publications {
            starts.push(length);
            length += part_of(publication).map_or(0, |part| part.len() as u32);
        }
        let mut parts = self.publications.iter().filter_map(|publication| part_of(publication));
        let frame = match (parts.next(), parts.next()) {
            (None, _) if !ends => Bytes::new(),
            (Some(only), None) if !ends || terminator.is_empty() => only.clone(),
            _ => {
                let mut frame = BytesMut::with_capacity(length as usize + terminator.len());
                let parts = self.publications.iter().filter_map(|publication| part_of(publication));
                parts.for_each(|part| frame.extend_from_slice(part));
                if ends {
                    frame.extend_from_slice(terminator);
                }
                frame.freeze()
            }
        };
        Gathered { frame, starts, then }
    }
}

/// Whether no item may follow this one in its pass.
fn is_last_of_pass(publication: &Publication) -> bool {
    let asks_again = matches!(publication.response, Some(ResponseFormat::Hint));
    asks_again || publication.then_stream() != Then::Stay || publication.then_socket() != Then::Stay
}

fn stands_alone(publication: &Publication) -> bool {
    publication.receipt.is_some() || publication.expects_filters()
}

impl Gathered {
    /// Whether there is anything to send or do.
    fn speaks(&self) -> bool {
        !self.frame.is_empty() || self.then != Then::Stay
    }

    /// The part for subscribers that joined after the first `joined` items of the pass.
    fn from(&self, joined: usize) -> Bytes {
        let start = self.starts.get(joined).map_or(self.frame.len(), |start| *start as usize);
        self.frame.slice(start..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CoreId, Slot};
    use crate::proto::grip::{ContentFilters, Receipt, StreamFormat};

    fn content(text: &'static str) -> Arc<Publication> {
        let mut publication = Publication::new("c");
        publication.stream = Some(StreamFormat::Content(Bytes::from_static(text.as_bytes())));
        Arc::new(publication)
    }

    fn close() -> Arc<Publication> {
        let mut publication = Publication::new("c");
        publication.stream = Some(StreamFormat::Close);
        Arc::new(publication)
    }

    fn visit(pass: &mut Pass, transport: Transport, entries: &mut [Entry]) -> Slice {
        let mut slice = Slice::default();
        assert!(pass.begin_transport(transport));
        assert!(pass.visit(transport, entries, 10, &mut slice));
        slice
    }

    #[test]
    fn a_single_publication_goes_out_uncopied() {
        let publication = content("x");
        let chunk = publication.stream_chunk().map(|chunk| chunk.as_ptr());
        let mut pass = Pass::new(&mut VecDeque::from([publication]), 7, usize::MAX);
        let slice = visit(&mut pass, Transport::StreamChunked, &mut [Entry { slot: Slot(1), next: 7 }]);
        let SliceKind::Stream { frame, then: Then::Stay } = slice.kind else {
            panic!("a stream slice that goes on")
        };
        assert_eq!(Some(frame.as_ptr()), chunk);
    }

    #[test]
    fn who_joined_midway_gets_the_rest_and_who_joined_after_gets_nothing() {
        let mut pass =
            Pass::new(&mut VecDeque::from([content("a"), content("bb"), content("c")]), u32::MAX, usize::MAX);
        let at = |next| Entry { slot: Slot(next), next };
        let slice = visit(&mut pass, Transport::StreamRaw, &mut [at(u32::MAX), at(0), at(1), at(2)]);
        assert_eq!(slice.slots, [Slot(u32::MAX)]);
        let partial: Vec<_> = slice.partial.iter().map(|(slot, part)| (slot.0, &part[..])).collect();
        assert_eq!(partial, [(1, &b"c"[..]), (0, &b"bbc"[..])]);
    }

    #[test]
    fn who_joined_when_only_long_polls_had_something_to_come_is_not_written_to() {
        let silent = Arc::new(Publication::new("c"));
        let mut pass = Pass::new(&mut VecDeque::from([content("a"), silent]), 0, usize::MAX);
        let slice = visit(&mut pass, Transport::StreamChunked, &mut [Entry { slot: Slot(1), next: 1 }]);
        assert!(slice.slots.is_empty() && slice.partial.is_empty());
    }

    #[test]
    fn who_is_never_spoken_to_does_not_fall_a_whole_turn_of_the_count_behind() {
        let silent = || VecDeque::from([Arc::new(Publication::new("c"))]);
        for transport in Transport::ALL.into_iter().filter(|transport| !transport.is_filtered()) {
            let mut entries = [Entry { slot: Slot(1), next: 7 }];
            assert!(!Pass::new(&mut silent(), 8, usize::MAX).begin_transport(transport));
            let slice =
                visit(&mut Pass::new(&mut silent(), (1 << 30) - 1, usize::MAX), transport, &mut entries);
            assert_eq!((slice.slots.len(), entries[0].next), (0, 1 << 30));
        }
    }

    #[test]
    fn an_item_with_a_receipt_goes_alone_and_says_when_all_have_it() {
        let receipt = Receipt { core: CoreId(1), ticket: 2, item: 3 };
        let mut wanted = Publication::new("c");
        wanted.stream = Some(StreamFormat::Content(Bytes::from_static(b"x")));
        wanted.receipt = Some(receipt);
        let mut pending = VecDeque::from([content("a"), Arc::new(wanted), content("b")]);
        assert_eq!(Pass::new(&mut pending, 0, usize::MAX).publications().len(), 1);
        let mut pass = Pass::new(&mut pending, 1, usize::MAX);
        assert_eq!((pass.publications().len(), pending.len()), (1, 1));
        let mut roster = Roster::default();
        for slot in 0..3 {
            roster.add(Transport::StreamRaw, Entry { slot: Slot(slot), next: 1 });
        }
        roster.add(Transport::FilteredSocket, Entry { slot: Slot(3), next: 1 });
        let mut counted = Vec::new();
        let mut slice = Slice::default();
        while counted.last().is_none_or(|(_, _, is_last)| !is_last) {
            slice.slots.clear();
            pass.advance(&mut roster, 2, &mut slice);
            let counting = slice.counting.take().expect("the slice is counted");
            assert_eq!(counting.receipt, receipt);
            counted.push((slice.slots.len(), counting.transport, counting.is_last));
        }
        let raw = Some(Transport::StreamRaw);
        // The filters of the WebSocket see the item, which has no part for WebSockets.
        assert_eq!(counted, [(2, raw, false), (1, raw, false), (0, None, true)]);
    }

    #[test]
    fn a_pass_stops_at_the_end_of_the_streams() {
        let mut pending = VecDeque::from([content("a"), close(), content("b")]);
        let mut pass = Pass::new(&mut pending, 0, usize::MAX);
        assert_eq!((pass.end(), pending.len()), (2, 1));
        let slice = visit(&mut pass, Transport::StreamChunked, &mut [Entry { slot: Slot(1), next: 0 }]);
        let SliceKind::Stream { frame, then: Then::End } = slice.kind else {
            panic!("a stream slice that ends")
        };
        assert_eq!(&frame[..], b"1\r\na\r\n0\r\n\r\n");
    }

    #[test]
    fn with_filters_everything_comes_one_by_one() {
        let silent = Arc::new(Publication::new("c"));
        let mut pass = Pass::new(&mut VecDeque::from([content("a"), silent.clone(), silent]), 0, usize::MAX);
        let at = |next| Entry { slot: Slot(next), next };
        let mut entries = [at(0), at(1), at(3)];
        let slice = visit(&mut pass, Transport::FilteredStream, &mut entries);
        let SliceKind::Filtered { deliveries } = slice.kind else { panic!("a filtered slice") };
        let counts: Vec<_> = deliveries.iter().map(|(slot, items)| (slot.0, items.len())).collect();
        assert_eq!((counts, entries.map(|entry| entry.next)), (vec![(1, 2), (0, 3)], [3; 3]));
    }

    #[test]
    fn what_expects_filters_comes_by_itself_and_does_not_fit_who_has_none() {
        let mut expecting = Publication::new("c");
        expecting.stream = Some(StreamFormat::Content(Bytes::from_static(b"b")));
        let stream = Some(vec![Box::from("build-id")].into());
        expecting.content_filters = Some(Box::new(ContentFilters { stream, ..ContentFilters::default() }));
        let mut pending = VecDeque::from([content("a"), Arc::new(expecting), content("c")]);
        assert_eq!(Pass::new(&mut pending, 0, usize::MAX).end(), 1);
        let mut pass = Pass::new(&mut pending, 1, usize::MAX);
        assert_eq!(pass.end(), 2);
        let at = |next| Entry { slot: Slot(next), next };
        let mut entries = [at(0), at(1), at(2)];
        let slice = visit(&mut pass, Transport::StreamRaw, &mut entries);
        assert!(matches!(slice.kind, SliceKind::Unfit { format: Format::Stream, .. }));
        assert_eq!((slice.slots, entries.map(|entry| entry.next)), (vec![Slot(1), Slot(0)], [2; 3]));
        pass.next_transport();
        assert!(!pass.begin_transport(Transport::Socket), "the item has no part for WebSockets");
    }
}
