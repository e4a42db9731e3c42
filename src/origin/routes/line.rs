//! The grammar of a line of the routes file. Spaces separate sections, and each section is
//! `value,property=value,...`. Quotes protect spaces, commas and `#`; within quotes `\\` and `\"` are the only
//! escapes.

/// One section of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Section {
    /// The text before the first comma; empty if the section begins with a property.
    pub value: String,
    /// The name and value of each property, in order.
    pub properties: Vec<(String, String)>,
}

/// A piece of a section: the text up to a comma or the section's end, and the place of its first unquoted `=`.
#[derive(Default)]
struct Piece {
    text: String,
    equals: Option<usize>,
    started: bool,
}

/// Splits a line into sections; a comment or an empty line has none.
///
/// # Errors
/// What is wrong with the line's quotes or properties.
pub(super) fn split_line(line: &str) -> Result<Vec<Section>, String> {
    let (mut sections, mut pieces, mut piece) = (Vec::new(), Vec::new(), Piece::default());
    let mut characters = line.trim_end_matches('\r').chars();
    while let Some(character) = characters.next() {
        match character {
            '#' => break,
            ' ' | '\t' => end_section(&mut sections, &mut pieces, &mut piece)?,
            ',' => {
                piece.started = true;
                pieces.push(std::mem::take(&mut piece));
                piece.started = true;
            }
            '"' => {
                piece.started = true;
                take_quoted(&mut characters, &mut piece.text)?;
            }
            '=' if piece.equals.is_none() => {
                piece.started = true;
                piece.equals = Some(piece.text.len());
            }
            other => {
                piece.started = true;
                piece.text.push(other);
            }
        }
    }
    end_section(&mut sections, &mut pieces, &mut piece)?;
    Ok(sections)
}

fn take_quoted(characters: &mut std::str::Chars<'_>, text: &mut String) -> Result<(), String> {
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok(()),
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | '"')) => text.push(escaped),
                _ => return Err("inside quotes only `\\\\` and `\\\"` are escapes".into()),
            },
            other => text.push(other),
        }
    }
    Err("a quote is not closed".into())
}

fn end_section(
    sections: &mut Vec<Section>,
    pieces: &mut Vec<Piece>,
    piece: &mut Piece,
) -> Result<(), String> {
    let last = std::mem::take(piece);
    if !last.started {
        return Ok(());
    }
    pieces.push(last);
    let mut section = Section::default();
    for (index, piece) in pieces.drain(..).enumerate() {
        if index == 0 && piece.equals.is_none() {
            section.value = piece.text;
            continue;
        }
        let (name, value) = piece.text.split_at(piece.equals.unwrap_or(piece.text.len()));
        if name.is_empty() {
            return Err("a property has no name".into());
        }
        section.properties.push((name.to_owned(), value.to_owned()));
    }
    sections.push(section);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    #[test]
    fn comments_quotes_and_sections_without_a_value() {
        let line = r#"path_beg=/a,debug  a:1,header="X: a, #1 \"q\"" # rest"#;
        let sections = split_line(line).expect("a valid line");
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].properties, [property("path_beg", "/a"), property("debug", "")]);
        assert_eq!(sections[1].value, "a:1");
        assert_eq!(sections[1].properties, [property("header", "X: a, #1 \"q\"")]);
        assert_eq!(split_line("  # nothing"), Ok(vec![]));
        assert!(
            split_line("\"open").is_err() && split_line("\"\\n\"").is_err() && split_line("a,,b c").is_err()
        );
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(value in "[^\r\n]{0,20}", property in "[^\r\n]{0,20}") {
            let line = format!("{},p={} t:1", quoted(&value), quoted(&property));
            let sections = split_line(&line).expect("a valid line");
            prop_assert_eq!(&sections[0].value, &value);
            prop_assert_eq!(&sections[0].properties, &vec![("p".to_owned(), property)]);
        }

        #[test]
        fn no_line_makes_the_parser_panic(line in "\\PC{0,60}") {
            let _ = split_line(&line);
        }
    }
}
