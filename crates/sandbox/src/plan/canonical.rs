//! One spelling per statement, for the hash a lease is bound to.
//!
//! Works on tokens, not on a syntax tree: it never recurses, so hosts may run it on anything.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use sha2::{Digest, Sha256};

use crate::limits::{MAX_SQL_BYTES, MAX_SQL_TOKENS};
use crate::refusal::{Code, Refusal};

/// SHA-256 of the normalised statement: comments and white space dropped, keywords upper case,
/// unquoted names lower case (as the engine reads them), one trailing semicolon ignored.
///
/// # Errors
/// When the text is too long or does not tokenise.
pub fn canonical_hash(sql: &str) -> Result<[u8; 32], Refusal> {
    let mut hasher = Sha256::new();
    for token in tokens(sql)? {
        let text = spelled(&token);
        // Length before text: no two token sequences share a byte string.
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    Ok(hasher.finalize().into())
}

/// The tokens that mean something, within bounds.
pub(crate) fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Refusal::new(Code::TooComplex, format!("{} bytes", sql.len())));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|_| Refusal::bare(Code::Malformed))?;
    let mut tokens: Vec<_> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    if tokens.last() == Some(&Token::SemiColon) {
        tokens.pop();
    }
    if tokens.len() > MAX_SQL_TOKENS {
        return Err(Refusal::new(Code::TooComplex, format!("{} tokens", tokens.len())));
    }
    Ok(tokens)
}

fn spelled(token: &Token) -> String {
    if let Token::Word(word) = token
        && word.quote_style.is_none()
    {
        return if word.keyword == Keyword::NoKeyword {
            word.value.to_lowercase()
        } else {
            word.value.to_uppercase()
        };
    }
    token.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter_and_meaning_does() {
        let hash = |sql| canonical_hash(sql).unwrap();
        let base = hash("SELECT avg(x) FROM t WHERE s = 'A'");
        for same in [
            "select  AVG(X)\nfrom T -- comment\n where S='A' ;",
            "SELECT avg ( x ) FROM t /* c */ WHERE s = 'A'",
        ] {
            assert_eq!(hash(same), base, "{same}");
        }
        for other in [
            "SELECT avg(x) FROM t WHERE s = 'a'",
            "SELECT avg(x) FROM t WHERE s = 'A' AND s = 'A'",
            "SELECT avg(x) FROM \"T\" WHERE s = 'A'",
            "SELECT avg(y) FROM t WHERE s = 'A'",
        ] {
            assert_ne!(hash(other), base, "{other}");
        }
        assert!(canonical_hash("SELECT 'open").is_err());
        assert!(canonical_hash(&"+1".repeat(MAX_SQL_BYTES)).is_err());
    }
}
