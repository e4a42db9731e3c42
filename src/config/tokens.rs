//! Tokens of the control port: who has one may do what it is good for. In the settings, and in a file of their own, a
//! token is a line: its scopes, with commas between them, and the token.

use super::files::read_text;
use std::path::Path;

/// A token, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What is sent as `Authorization: Bearer`.
    pub secret: String,
    /// What its owner may do.
    pub grants: Grants,
}

/// What someone may do on the control port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Publish to channels that begin with one of these; the empty one is every channel.
    pub publish: Vec<String>,
    /// See who is there: channels, clients, counters.
    pub inspect: bool,
    /// Do everything.
    pub admin: bool,
}

/// Why a line is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There are not two words.
    #[error("write scopes and a token, such as \"publish:news- s3cret\"")]
    NotTwoWords,
    /// A scope is none.
    #[error("`{0}` is no scope: write `publish`, `publish:PREFIX`, `inspect` or `admin`")]
    Scope(String),
    /// A datagram cannot use it.
    #[error("datagrams are not answered, so they can do nothing but `publish` or `publish:PREFIX`")]
    OfDatagrams,
}

impl Token {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Token, TokenError> {
        let mut words = line.split_whitespace();
        let (Some(scopes), Some(secret), None) = (words.next(), words.next(), words.next()) else {
            return Err(TokenError::NotTwoWords);
        };
        let mut grants = Grants::default();
        scopes.split(',').try_for_each(|scope| grants.add(scope))?;
        Ok(Token { secret: secret.to_owned(), grants })
    }
}

impl Grants {
    /// Everything.
    pub fn all() -> Grants {
        Grants { admin: true, ..Grants::default() }
    }

    /// What Pushpin lets everyone do.
    pub fn to_publish() -> Grants {
        Grants { publish: vec![String::new()], ..Grants::default() }
    }

    /// Takes in one scope of datagrams.
    pub(super) fn add_publish(&mut self, scope: &str) -> Result<(), TokenError> {
        let mut more = self.clone();
        more.add(scope)?;
        if more.admin || more.inspect {
            return Err(TokenError::OfDatagrams);
        }
        *self = more;
        Ok(())
    }

    /// Whether nothing may be done.
    pub fn is_nothing(&self) -> bool {
        *self == Grants::default()
    }

    /// Whether a message may go to `channel`.
    pub fn may_publish_to(&self, channel: &str) -> bool {
        self.admin || self.publish.iter().any(|prefix| channel.starts_with(prefix.as_str()))
    }

    /// Whether anything may be looked at.
    pub fn may_inspect(&self) -> bool {
        self.admin || self.inspect
    }

    fn add(&mut self, scope: &str) -> Result<(), TokenError> {
        match scope.split_once(':') {
            None if scope == "publish" => self.publish.push(String::new()),
            None if scope == "inspect" => self.inspect = true,
            None if scope == "admin" => self.admin = true,
            Some(("publish", prefix)) if !prefix.is_empty() => self.publish.push(prefix.to_owned()),
            _ => return Err(TokenError::Scope(scope.to_owned())),
        }
        Ok(())
    }
}

/// Reads the tokens in `text`, a file's; the error has the line it is on. Empty lines and those that begin with `#`
/// have none.
pub(super) fn read_file(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let tokens: Vec<Token> = lines
        .map(|(number, line)| Token::parse(line).map_err(|error| (number, error.to_string())))
        .collect::<Result<_, _>>()?;
    if tokens.is_empty() {
        return Err((1, "there is no token in this file".to_owned()));
    }
    Ok(tokens)
}

/// The tokens in the file at `path`; the error is a line of it and what is wrong there.
pub(super) fn load(path: &Path) -> Result<Vec<Token>, (usize, String)> {
    let text = read_text(path).map_err(|error| (1, format!("it cannot be read: {error}")))?;
    read_file(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_scopes() {
        let grants = |line: &str| Token::parse(line).unwrap().grants;
        let publisher = grants("publish:a-,publish:b- x");
        assert!(publisher.may_publish_to("a-1") && publisher.may_publish_to("b-"));
        assert!(!publisher.may_publish_to("c") && !publisher.may_publish_to("") && !publisher.may_inspect());
        let inspector = grants("  inspect   x ");
        assert!(inspector.may_inspect() && !inspector.may_publish_to("a") && !inspector.admin);
        assert!(grants("publish x").may_publish_to(""));
        assert!(Grants::all().may_inspect() && Grants::all().may_publish_to("a"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for line in ["", "publish", "publish x y"] {
            assert_eq!(Token::parse(line), Err(TokenError::NotTwoWords), "{line}");
        }
        for scope in ["read", "publish:", "inspect:x", "", "admin:"] {
            assert_eq!(Token::parse(&format!("{scope},admin x")), Err(TokenError::Scope(scope.into())));
        }
        assert_eq!(read_file("# none\n\n").unwrap_err().0, 1);
        assert_eq!(read_file("admin x\n\n # more\npublish\n").unwrap_err().0, 4);
        assert_eq!(read_file("admin x\ninspect y\n").unwrap().len(), 2);
    }
}
