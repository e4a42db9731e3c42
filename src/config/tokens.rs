//! Tokens of the control port. A token has scopes, and grants its owner what the scopes allow. In the settings and in a
//! tokens file, a token is one line: the scopes, separated by commas, a space, and the secret.

use super::files::read_text;
use std::path::Path;

/// A token and its grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The text that clients send as `Authorization: Bearer`.
    pub secret: String,
    /// The operations that its owner may do.
    pub grants: Grants,
}

/// The operations that the owner of a token may do on the control port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Publish to channels whose name begins with one of these prefixes; the empty prefix allows every channel.
    pub publish: Vec<String>,
    /// Inspect channels, clients and counters.
    pub inspect: bool,
    /// Do everything.
    pub admin: bool,
}

/// Why a line is not a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The line does not have two words.
    #[error("write scopes and a token, such as \"publish:news- s3cret\"")]
    NotTwoWords,
    /// A scope is unknown.
    #[error("unknown scope `{0}`: write `publish`, `publish:PREFIX`, `inspect` or `admin`")]
    Scope(String),
    /// Datagrams cannot have the scope.
    #[error("datagrams are not answered, so their scopes can only be `publish` or `publish:PREFIX`")]
    OfDatagrams,
}

impl Token {
    /// Reads a line.
    ///
    /// # Errors
    /// Why the line is not a token.
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
    /// Grants every operation.
    pub fn all() -> Grants {
        Grants { admin: true, ..Grants::default() }
    }

    /// Grants publishing to every channel, as Pushpin allows everyone.
    pub fn to_publish() -> Grants {
        Grants { publish: vec![String::new()], ..Grants::default() }
    }

    /// Adds one scope of datagrams.
    pub(super) fn add_publish(&mut self, scope: &str) -> Result<(), TokenError> {
        let mut more = self.clone();
        more.add(scope)?;
        if more.admin || more.inspect {
            return Err(TokenError::OfDatagrams);
        }
        *self = more;
        Ok(())
    }

    /// Whether no operation is granted.
    pub fn is_nothing(&self) -> bool {
        *self == Grants::default()
    }

    /// Whether publishing to `channel` is granted.
    pub fn may_publish_to(&self, channel: &str) -> bool {
        self.admin || self.publish.iter().any(|prefix| channel.starts_with(prefix.as_str()))
    }

    /// Whether inspection is granted.
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

/// Reads the tokens of a file with this text. Empty lines and lines that begin with `#` are skipped. The error is a line
/// number and a reason.
pub(super) fn read_file(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let tokens: Vec<Token> = lines
        .map(|(number, line)| Token::parse(line).map_err(|error| (number, error.to_string())))
        .collect::<Result<_, _>>()?;
    if tokens.is_empty() {
        return Err((1, "the file has no token".to_owned()));
    }
    Ok(tokens)
}

/// Reads the tokens of the file at `path`. The error is a line number and a reason.
pub(super) fn load(path: &Path) -> Result<Vec<Token>, (usize, String)> {
    let text = read_text(path).map_err(|error| (1, format!("the file cannot be read: {error}")))?;
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
