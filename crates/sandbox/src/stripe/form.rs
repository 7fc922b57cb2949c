//! The form encoding of Stripe's API: flat pairs whose names carry brackets, `metadata[key]`, `line_items[0][quantity]`.
//!
//! Values are read as Stripe reads them: strict integers, `true`/`false`, no empty strings, no parameter that the
//! endpoint does not know. Nothing here knows an endpoint.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::error::StripeError;

type Result<T> = std::result::Result<T, StripeError>;

const METADATA_KEYS: usize = 50;
const METADATA_KEY_CHARACTERS: usize = 40;
const METADATA_VALUE_CHARACTERS: usize = 500;

/// The parameters of one request, by their full bracketed name.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a query string or a form body. A repeated name keeps its last value, except `name[]`, which is numbered.
    pub(super) fn parse(text: &str) -> Self {
        let mut entries = BTreeMap::new();
        let mut numbered: BTreeMap<String, usize> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let name = match name.strip_suffix("[]") {
                Some(prefix) => {
                    let next = numbered.entry(prefix.to_owned()).or_default();
                    let name = format!("{prefix}[{next}]");
                    *next += 1;
                    name
                }
                None => name.into_owned(),
            };
            entries.insert(name, value.into_owned());
        }
        Self(entries)
    }

    /// The same text for the same parameters in whatever order they were sent.
    pub(super) fn canonical(&self) -> String {
        let mut writer = url::form_urlencoded::Serializer::new(String::new());
        writer.extend_pairs(&self.0);
        writer.finish()
    }

    /// Refuses every parameter that matches no pattern. In a pattern `[]` stands for a number, `[*]` for any name and
    /// `[**]` for any names from there on.
    pub(super) fn allow(&self, patterns: &[&str]) -> Result<()> {
        for name in self.0.keys() {
            let path = segments(name);
            if !patterns.iter().any(|pattern| matches_pattern(&path, &segments(pattern))) {
                let message = format!("Received unknown parameter: {name}");
                return Err(StripeError::invalid("parameter_unknown", name.clone(), message));
            }
        }
        Ok(())
    }

    /// A text, when given. An empty one is refused.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.0.get(name).map(String::as_str) {
            Some("") => {
                let message = format!(
                    "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty value."
                );
                Err(StripeError::invalid("parameter_invalid_empty", name, message))
            }
            value => Ok(value),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<&str> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A whole number, when given.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let parsed = if digits.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        match parsed {
            Some(number) => Ok(Some(number)),
            None => Err(StripeError::invalid("parameter_invalid_integer", name, format!("Invalid integer: {text}"))),
        }
    }

    /// An amount in cents of at least `least`.
    pub(super) fn cents(&self, name: &str, least: i64) -> Result<Option<i64>> {
        match self.integer(name)? {
            Some(amount) if amount < least => {
                let message = format!("This value must be greater than or equal to {least}.");
                Err(StripeError::invalid("parameter_invalid_integer", name, message))
            }
            amount => Ok(amount),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(StripeError::invalid_without_code(name, format!("Invalid boolean: {other}"))),
        }
    }

    /// One of the listed words, when given.
    pub(super) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<&str>> {
        match self.text(name)? {
            Some(word) if !words.contains(&word) => {
                let message = format!("Invalid {name}: must be one of {}", words.join(", "));
                Err(StripeError::invalid_without_code(name, message))
            }
            word => Ok(word),
        }
    }

    /// `eur`, required: the platform and its accounts are European.
    pub(super) fn currency(&self, name: &str) -> Result<String> {
        let currency = self.required(name)?;
        if currency.eq_ignore_ascii_case("eur") {
            return Ok("eur".to_owned());
        }
        let message = format!("Invalid currency: {currency}. Stripe currently supports these currencies: eur");
        Err(StripeError::invalid_without_code(name, message))
    }

    /// An http(s) address, when given.
    pub(super) fn url(&self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(text.to_owned())),
            _ => Err(StripeError::invalid("url_invalid", name, "Not a valid URL")),
        }
    }

    pub(super) fn required_url(&self, name: &str) -> Result<String> {
        self.url(name)?.ok_or_else(|| missing(name))
    }

    /// `name[key]` pairs within Stripe's limits on metadata. A key set to nothing is left out.
    pub(super) fn metadata(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let mut metadata = BTreeMap::new();
        for (full_name, value) in &self.0 {
            let Some(key) = full_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')) else { continue };
            let Some(key) = key.strip_suffix(']').filter(|key| !key.contains('[')) else { continue };
            if key.chars().count() > METADATA_KEY_CHARACTERS {
                let message = format!(
                    "Metadata keys can have up to {METADATA_KEY_CHARACTERS} characters, you passed in a key that is {} characters. Invalid key: {key}",
                    key.chars().count()
                );
                return Err(StripeError::invalid_without_code(name, message));
            }
            if value.chars().count() > METADATA_VALUE_CHARACTERS {
                let message = format!(
                    "Metadata values can have up to {METADATA_VALUE_CHARACTERS} characters, but you passed in a value that is {} characters. Invalid value: {value}",
                    value.chars().count()
                );
                return Err(StripeError::invalid_without_code(full_name.clone(), message));
            }
            if !value.is_empty() {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        if metadata.len() > METADATA_KEYS {
            let message = format!("Metadata can only have up to {METADATA_KEYS} keys.");
            return Err(StripeError::invalid_without_code(name, message));
        }
        Ok(metadata)
    }

    /// The numbers `n` for which some `name[n]...` was given, in order.
    pub(super) fn indices(&self, name: &str) -> BTreeSet<u32> {
        let numbers = self.0.keys().filter_map(|full_name| {
            let path = segments(full_name);
            if path.first() == Some(&name) { path.get(1).and_then(|number| number.parse().ok()) } else { None }
        });
        numbers.collect()
    }

    /// The texts of `name[0]`, `name[1]`, ...
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for index in self.indices(name) {
            texts.push(self.required(&format!("{name}[{index}]"))?.to_owned());
        }
        Ok(texts)
    }
}

/// The refusal of a request that lacks `name`.
pub(super) fn missing(name: &str) -> StripeError {
    StripeError::invalid("parameter_missing", name, format!("Missing required param: {name}."))
}

/// `a[b][0]` as `a`, `b`, `0`. A name with unbalanced brackets stays whole, so that no pattern matches it.
fn segments(name: &str) -> Vec<&str> {
    let Some((first, rest)) = name.split_once('[') else { return vec![name] };
    let Some(inner) = rest.strip_suffix(']') else { return vec![name] };
    std::iter::once(first).chain(inner.split("][")).collect()
}

fn matches_pattern(path: &[&str], pattern: &[&str]) -> bool {
    match (path, pattern) {
        ([], []) => true,
        ([_, ..], ["**"]) => true,
        ([segment, path @ ..], [expected, pattern @ ..]) => {
            let fits = match *expected {
                "" => !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()),
                "*" => !segment.is_empty() && !segment.contains(['[', ']']),
                word => *segment == word,
            };
            fits && matches_pattern(path, pattern)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_names_are_read() {
        let form = Form::parse("a%5B0%5D%5Bb%5D=1&metadata[k]=v&expand[]=x&expand[]=y");
        assert_eq!(form.integer("a[0][b]").unwrap(), Some(1));
        assert_eq!(form.metadata("metadata").unwrap()["k"], "v");
        assert_eq!(form.list("expand").unwrap(), ["x", "y"]);
        assert!(form.allow(&["a[][b]", "metadata[*]", "expand[]"]).is_ok());
        let refusal = form.allow(&["a[][b]", "metadata[*]"]).unwrap_err();
        assert_eq!((refusal.code, refusal.param.as_deref()), (Some("parameter_unknown"), Some("expand[0]")));
    }

    #[test]
    fn only_whole_numbers_are_integers() {
        for text in ["1998.99", "1998.9999999999998", "1e3", "0x10", "+5", "--1", "-", "99999999999999999999", "٣"] {
            let form = Form::parse(&format!("n={text}"));
            assert_eq!(form.integer("n").unwrap_err().code, Some("parameter_invalid_integer"), "{text}");
        }
        assert_eq!(Form::parse("n=-7").integer("n").unwrap(), Some(-7));
        assert_eq!(Form::parse("n=").integer("n").unwrap_err().code, Some("parameter_invalid_empty"));
    }

    #[test]
    fn order_of_parameters_does_not_matter_to_the_fingerprint() {
        assert_eq!(Form::parse("a=1&b=2").canonical(), Form::parse("b=2&a=1").canonical());
        assert_ne!(Form::parse("a=1&b=2").canonical(), Form::parse("a=1%26b%3D2").canonical());
    }

    #[test]
    fn broken_names_match_nothing() {
        for name in ["a[", "a]", "a[b", "a[b]c", "[a]", "metadata[]x", "metadata[a][b]"] {
            let form = Form::parse(&format!("{name}=1"));
            assert!(form.allow(&["a", "a[b]", "metadata[*]"]).is_err(), "{name}");
        }
    }
}
