//! Tests of valid and invalid answer heads.

use super::*;
use proptest::prelude::*;

/// The final head, and how many bytes it and the interim heads before it used.
fn parse(input: &[u8], to_head: bool) -> Result<Option<(AnswerHead, usize)>, AnswerError> {
    let (mut parser, mut used) = (AnswerParser::new(to_head), 0);
    loop {
        match parser.parse(&input[used..])? {
            AnswerStep::Partial => return Ok(None),
            AnswerStep::Interim(length) => used += length,
            AnswerStep::Final(head, length) => return Ok(Some((*head, used + length))),
        }
    }
}

fn answer(input: &str) -> AnswerHead {
    match parse(input.as_bytes(), false) {
        Ok(Some((head, used))) if used == input.len() => head,
        other => panic!("{input:?} gave {other:?}"),
    }
}

fn error(input: &str) -> Option<AnswerError> {
    parse(input.as_bytes(), false).err()
}

/// The known length of the body, and whether the connection can be reused.
fn framing(head: &AnswerHead) -> (Option<u64>, bool) {
    (head.body.remaining(), head.keep_alive)
}

#[test]
fn an_answer_keeps_its_fields_as_they_were_written() {
    let head = answer("HTTP/1.1 299 Fine\r\nx-a: 1\r\nX-A: 2\r\nX-ODD_name : v\r\nETag: \"e\"\r\n\r\n");
    assert_eq!((head.status, head.reason.as_deref()), (299, Some(&b"Fine"[..])));
    let mut out = bytes::BytesMut::new();
    head.headers.put_fields(&mut out, |_| true);
    assert_eq!(&out[..], b"x-a: 1\r\nx-a: 2\r\nX-ODD_name: v\r\nETag: \"e\"\r\n");
    assert_eq!(answer("HTTP/1.1 200 OK\r\n\r\n").reason, None, "the standard reason is known");
    assert_eq!(answer("HTTP/1.1 200\r\n\r\n").reason, None);
}

#[test]
fn an_answer_ends_where_its_framing_says() {
    let cases: [(&str, (Option<u64>, bool)); 17] = [
        ("1.1 200 OK\r\nContent-Length: 7\r\n", (Some(7), true)),
        ("1.1 200 OK\r\nContent-Length: 7, 7\r\nContent-Length: 7\r\n", (Some(7), true)),
        ("1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, CLOSE\r\n", (Some(0), false)),
        ("1.1 200 OK\r\ntransfer-encoding: Chunked\r\n", (None, true)),
        ("1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n", (None, false)),
        ("1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 7\r\n", (Some(7), true)),
        ("1.1 200 OK\r\n", (None, false)),
        ("1.1 204 No Content\r\n", (Some(0), true)),
        ("1.1 204 No Content\r\nContent-Length: 7\r\n", (Some(0), true)),
        ("1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", (Some(0), true)),
        ("1.1 101 Switching Protocols\r\n", (Some(0), true)),
        ("1.0 200 OK\r\nContent-Length: 7\r\n", (Some(7), false)),
        ("1.0 200 OK\r\nContent-Length: 7\r\nConnection: Keep-Alive\r\n", (Some(7), true)),
        ("1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n", (None, false)),
        ("1.0 200 OK\r\nConnection: keep-alive\r\n", (None, false)),
        ("1.0 304 Not Modified\r\nConnection: keep-alive\r\n", (Some(0), true)),
        ("1.1 999 Odd\r\nContent-Length: 18446744073709551615\r\n", (Some(u64::MAX), true)),
    ];
    for (head, expected) in cases {
        assert_eq!(framing(&answer(&format!("HTTP/{head}\r\n"))), expected, "{head:?}");
    }
    for head in ["Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let to_head = parse(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), true);
        let (head, _) = to_head.unwrap().unwrap();
        assert_eq!(framing(&head), (Some(0), true), "an answer to HEAD has no body");
    }
}

#[test]
fn interim_answers_are_passed_over_and_do_not_go_on_for_ever() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let head = answer(&format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!((head.status, head.headers.len()), (200, 1));
    let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(usize::from(INTERIM_ANSWERS) + 1);
    assert_eq!(error(&endless), Some(AnswerError::Interim));
}

#[test]
fn what_leaves_a_doubt_about_an_answer_is_refused() {
    let fields = [
        ("Content-Length: 7\r\nContent-Length: 8\r\n", AnswerError::ContentLength),
        ("Content-Length: 7, 8\r\n", AnswerError::ContentLength),
        ("Content-Length: 7,\r\n", AnswerError::ContentLength),
        ("Content-Length: \r\n", AnswerError::ContentLength),
        ("Content-Length: +7\r\n", AnswerError::ContentLength),
        ("Content-Length: 0x7\r\n", AnswerError::ContentLength),
        ("Content-Length: 18446744073709551616\r\n", AnswerError::ContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", AnswerError::TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", AnswerError::TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", AnswerError::TransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n", AnswerError::TransferEncoding),
        ("Transfer-Encoding: gzip\r\n", AnswerError::TransferEncoding),
        ("X: a\r\n folded\r\n", AnswerError::Field),
        ("X: a\rb\r\n", AnswerError::Field),
        ("X: a\0b\r\n", AnswerError::Field),
        (" X: a\r\n", AnswerError::Field),
        ("X y: a\r\n", AnswerError::Field),
        (": a\r\n", AnswerError::Field),
        ("X\r\n", AnswerError::Field),
    ];
    for (fields, expected) in fields {
        assert_eq!(error(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")), Some(expected), "{fields:?}");
    }
    let lines = [
        ("SSH-2.0-x\r\n", AnswerError::NoHttp),
        ("<html>", AnswerError::NoHttp),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", AnswerError::NoHttp),
        ("HTTP/2.0 200 OK\r\n\r\n", AnswerError::NoHttp),
        ("HTTP/1.2 200 OK\r\n\r\n", AnswerError::StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", AnswerError::StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", AnswerError::StatusLine),
        ("HTTP/1.1 099 Low\r\n\r\n", AnswerError::StatusLine),
    ];
    for (input, expected) in lines {
        assert_eq!(error(input), Some(expected), "{input:?}");
    }
}

#[test]
fn heads_are_bounded_by_bytes_and_by_fields() {
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
    for count in [USUAL_FIELDS, USUAL_FIELDS + 1, ANSWER_FIELDS] {
        assert_eq!(answer(&fields(count)).headers.len(), count);
    }
    assert_eq!(error(&fields(ANSWER_FIELDS + 1)), Some(AnswerError::TooManyFields));
    let long = |bytes: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(bytes - 24));
    assert_eq!(answer(&long(ANSWER_HEAD_BYTES)).headers.len(), 1);
    assert_eq!(error(&long(ANSWER_HEAD_BYTES + 1)), Some(AnswerError::TooLarge));
    let endless = "HTTP/1.1 200 OK\r\nA: ".to_owned() + &"b".repeat(ANSWER_HEAD_BYTES);
    assert_eq!(error(&endless), Some(AnswerError::TooLarge));
}

/// The decision about `input` when it arrives in `parts`, and how many bytes it used.
fn outcome(parts: &[&[u8]], to_head: bool) -> Result<Option<String>, AnswerError> {
    let (mut parser, mut inbox) = (AnswerParser::new(to_head), Vec::new());
    for part in parts {
        inbox.extend_from_slice(part);
        loop {
            match parser.parse(&inbox)? {
                AnswerStep::Partial => break,
                AnswerStep::Interim(used) => drop(inbox.drain(..used)),
                AnswerStep::Final(head, _) => return Ok(Some(format!("{head:?}"))),
            }
        }
    }
    Ok(None)
}

proptest! {
    #[test]
    fn an_answer_cut_anywhere_is_the_same_answer(
        interim in 0usize..3,
        status in 200u16..1000,
        fields in prop::collection::vec(("[A-Za-z-]{1,12}[ \t]{0,2}", "[ -~]{0,30}"), 0..70),
        ends in prop::sample::select(vec!["\r\n", "\n"]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        to_head in any::<bool>(),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}{ends}")).collect();
        let interim = format!("HTTP/1.1 103 Early Hints{ends}{ends}").repeat(interim);
        let input = format!("{interim}HTTP/1.1 {status} X{ends}{fields}{ends}body");
        let whole = outcome(&[input.as_bytes()], to_head);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &input.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(outcome(&parts, to_head), whole.clone());
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        prop_assert_eq!(outcome(&bytes, to_head), whole);
    }

    #[test]
    fn names_that_are_written_again_are_as_they_were(names in prop::collection::vec("[A-Za-z0-9_-]{1,10}", 1..40)) {
        let fields: String = names.iter().map(|name| format!("{name}: v\r\n")).collect();
        let head = answer(&format!("HTTP/1.1 200 X\r\n{fields}\r\n"));
        let mut out = bytes::BytesMut::new();
        head.headers.put_fields(&mut out, |_| true);
        let out = String::from_utf8(out.to_vec()).unwrap();
        for name in out.lines().map(|line| line.split(':').next().unwrap()) {
            prop_assert!(names.iter().any(|written| written == name), "{name} of {names:?}");
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(input in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..3) {
        let starts: [&[u8]; 3] = [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"];
        let input = [starts[start], &input, b"\r\n\r\n"].concat();
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(outcome(&bytes, false), outcome(&[&input], false));
    }
}
