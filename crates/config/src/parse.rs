//! Turns texts into values. An error is the rest of a sentence that begins with the setting's name, without the value.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use secrecy::SecretString;
use url::Url;

/// A whole number within the range.
pub(crate) fn number<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, String>
where
    T: TryFrom<u64> + Into<u64> + Copy,
{
    move |text| {
        let (low, high) = ((*range.start()).into(), (*range.end()).into());
        text.parse::<u64>()
            .ok()
            .filter(|number| (low..=high).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("is not a whole number between {low} and {high}"))
    }
}

/// `true`, `1`, `yes`, `on` or their opposites, in any case.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

pub(crate) fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "is not an IP address".to_owned())
}

pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "is not an IP address with a port, such as 127.0.0.1:9090".to_owned())
}

/// One line of text without control characters.
pub(crate) fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("contains a line break or another control character".to_owned());
    }
    Ok(text.to_owned())
}

/// Letters, digits, `-`, `_` and `.`: safe as one segment of a path.
pub(crate) fn identifier(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if !text.chars().all(allowed) || text.starts_with('.') {
        return Err("may only contain letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok(text.to_owned())
}

/// An http(s) URL without credentials, query or fragment, exactly as written.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not an http:// or https:// URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or fragment".to_owned());
    }
    Ok(url)
}

/// An http(s) URL as it was written: an issuer is compared character by character, and `Url` would add a slash to a
/// bare host.
pub(crate) fn exact_http_url(text: &str) -> Result<String, String> {
    http_url(text).map(|_| text.to_owned())
}

/// An http(s) URL whose path ends in a slash, so that `Url::join` appends to it instead of replacing the last segment.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let mut url = http_url(text)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// The ASCII serialization of an origin (scheme, host and port, no path).
pub(crate) fn origin(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    if url.path() != "/" {
        return Err("contains an origin with a path".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// A key or token: visible ASCII characters, not a placeholder.
pub(crate) fn secret(text: &str) -> Result<SecretString, String> {
    if is_placeholder(text) {
        return Err("still holds a placeholder".to_owned());
    }
    if !text.chars().all(|character| character.is_ascii_graphic()) {
        return Err("contains a space, a line break or a character outside ASCII".to_owned());
    }
    Ok(SecretString::from(text.to_owned()))
}

/// Whether a text is what example files write where a secret belongs.
pub(crate) fn is_placeholder(text: &str) -> bool {
    const KEY_PREFIXES: [&str; 7] = ["sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_test_", "pk_live_", "whsec_"];
    const FILLERS: [char; 6] = ['x', '.', '*', '-', '_', '…'];
    const WORDS: [&str; 9] =
        ["changeme", "change_me", "change-me", "replaceme", "replace_me", "replace-me", "placeholder", "todo", "tbd"];

    let text = text.to_lowercase();
    let body = KEY_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(&text);
    let enclosed = |open: &str, close: &str| body.starts_with(open) && body.ends_with(close);
    body.chars().all(|character| FILLERS.contains(&character))
        || WORDS.contains(&body)
        || ["your_", "your-", "votre_", "votre-"].iter().any(|start| body.starts_with(start))
        || body.ends_with("...")
        || body.ends_with('…')
        || enclosed("<", ">")
        || enclosed("${", "}")
        || enclosed("{{", "}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_recognised() {
        for text in [
            "changeme",
            "CHANGE_ME",
            "xxx",
            "XXXXXXXX",
            "your_secret_key",
            "<secret>",
            "${S3_ACCESS_KEY}",
            "sk_test_...",
            "sk_test_xxx",
            "sk_live_",
            "whsec_xxx",
            "whsec_",
            "whsec_...",
            "sk_test_your_key",
            "sk_test_51Abc...",
            "***",
        ] {
            assert!(is_placeholder(text), "{text}");
            assert!(secret(text).is_err(), "{text}");
        }
    }

    #[test]
    fn real_and_stand_in_secrets_are_accepted() {
        for text in ["sk_test_51AbCdEf", "whsec_sandbox", "minioadmin", "wJalr/XUtn+FEMI=", "test", "xyz"] {
            assert!(secret(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_secret_with_an_inner_line_break_is_refused() {
        assert!(secret("first\nsecond").is_err());
        assert!(secret("clé").is_err());
    }

    #[test]
    fn numbers_respect_their_range() {
        assert_eq!(number(5..=60_u64)("60"), Ok(60));
        for text in ["4", "61", "-1", "6.0", "", "1e1", "99999999999999999999"] {
            assert_eq!(number(5..=60_u64)(text), Err("is not a whole number between 5 and 60".to_owned()), "{text}");
        }
    }

    #[test]
    fn base_urls_end_in_a_slash_and_hold_no_credentials() {
        assert_eq!(base_url("http://host:9000/auth").map(String::from), Ok("http://host:9000/auth/".to_owned()));
        assert_eq!(base_url("http://host").map(String::from), Ok("http://host/".to_owned()));
        for text in ["host:9000", "ftp://host", "http://user:canary@host", "http://host/?a=1", "http://host/#a", "/a"] {
            assert!(base_url(text).is_err_and(|reason| !reason.contains("canary")), "{text}");
        }
    }

    #[test]
    fn identifiers_stay_one_path_segment() {
        assert!(identifier("default-authentication-flow").is_ok());
        for text in ["a/b", "..", "a?b", "a b", "é"] {
            assert!(identifier(text).is_err(), "{text}");
        }
    }
}
