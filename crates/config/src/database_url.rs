//! Lenient parser for `DATABASE_URL` as written for Prisma: unescaped passwords and Prisma's own parameters.
//!
//! It exists because the documented way to make the password (`openssl rand -base64`) yields characters that break
//! strict URL parsers. It only takes the text apart; see `database.rs` for what becomes of the parts.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgSslMode;
use url::form_urlencoded;

use crate::parse;

const FORM: &str = "is not a PostgreSQL URL of the form postgresql://user:password@host:port/database";

/// The parts of a `DATABASE_URL`. Not `Debug`: it holds the password.
#[derive(Default)]
pub(crate) struct DatabaseUrl {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// Host name or address without brackets, or a socket directory when it begins with a slash.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) database: Option<String>,
    pub(crate) parameters: Parameters,
    /// Sentences for the operator; hold no value.
    pub(crate) warnings: Vec<String>,
}

/// The parameters after the `?` that have a meaning here.
#[derive(Default)]
pub(crate) struct Parameters {
    pub(crate) schema: Option<String>,
    pub(crate) connection_limit: Option<u32>,
    pub(crate) behind_pgbouncer: bool,
    pub(crate) statement_cache_size: Option<usize>,
    pub(crate) ssl_mode: Option<PgSslMode>,
    pub(crate) ssl_root_certificate: Option<String>,
    pub(crate) application_name: Option<String>,
    /// Server settings from `options=-c name=value`.
    pub(crate) options: Vec<(String, String)>,
    host: Option<String>,
    strict_certificates: bool,
}

impl DatabaseUrl {
    /// Takes the URL apart. The error is the rest of a sentence that begins with the name of the setting.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = strip_scheme(text).ok_or(FORM)?;
        let (user_info, location) = split_user_info(rest).ok_or(FORM)?;
        let mut url = Self::default();
        if let Some(user_info) = user_info {
            let (user, password) = match user_info.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (user_info, None),
            };
            url.user = non_empty(user);
            url.password = password.and_then(non_empty);
        }
        if url.password.as_deref().is_some_and(parse::is_placeholder) {
            return Err("still holds a placeholder instead of the password".to_owned());
        }
        url.host = non_empty(location.host);
        url.port = location.port;
        url.database = location.database.and_then(non_empty);
        url.parameters = Parameters::parse(location.query.unwrap_or_default(), &mut url.warnings)?;
        // libpq and Prisma agree: the parameter, usually a socket directory, replaces the host of the URL.
        if let Some(host) = url.parameters.host.take() {
            url.host = Some(host);
        }
        Ok(url)
    }
}

impl Parameters {
    fn parse(query: &str, warnings: &mut Vec<String>) -> Result<Self, String> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !value.is_empty() {
                parameters.set(&name, &value, warnings)?;
            }
        }
        // Prisma's `require` verifies the certificate when `sslaccept=strict`; PostgreSQL calls that `verify-full`.
        if parameters.strict_certificates && matches!(parameters.ssl_mode, Some(PgSslMode::Require)) {
            parameters.ssl_mode = Some(PgSslMode::VerifyFull);
        }
        Ok(parameters)
    }

    fn set(&mut self, name: &str, value: &str, warnings: &mut Vec<String>) -> Result<(), String> {
        let within = |reason: String| format!("has a parameter {name} that {reason}");
        match name {
            "schema" => self.schema = Some(schema_name(value).map_err(within)?),
            "connection_limit" => self.connection_limit = Some(parse::number(1..=1000)(value).map_err(within)?),
            "pgbouncer" => self.behind_pgbouncer = parse::boolean(value).map_err(within)?,
            "statement_cache_size" => {
                self.statement_cache_size = Some(parse::number(0..=10_000_u32)(value).map_err(within)? as usize);
            }
            "sslmode" => self.ssl_mode = Some(value.parse().map_err(|_| within("is not a known mode".to_owned()))?),
            "sslaccept" => self.strict_certificates = value == "strict",
            "sslrootcert" => self.ssl_root_certificate = Some(value.to_owned()),
            "application_name" => self.application_name = Some(value.to_owned()),
            "host" => self.host = Some(value.to_owned()),
            "options" => self.options.extend(server_options(value, warnings)),
            // Time limits of Prisma's engine; this program has its own settings for them.
            "pool_timeout"
            | "connect_timeout"
            | "socket_timeout"
            | "max_connection_lifetime"
            | "max_idle_connection_lifetime"
            | "connection_timeout" => {}
            "sslcert" | "sslidentity" | "sslpassword" => {
                warnings.push(format!("DATABASE_URL: the parameter {name} is not supported and ignored"));
            }
            // A parameter unknown here may be part of something secret, so it is not named.
            _ => warnings.push("DATABASE_URL: a parameter that is not known here is ignored".to_owned()),
        }
        Ok(())
    }

    fn knows(name: &str) -> bool {
        const NAMES: [&str; 19] = [
            "schema",
            "connection_limit",
            "pgbouncer",
            "statement_cache_size",
            "sslmode",
            "sslaccept",
            "sslrootcert",
            "application_name",
            "host",
            "options",
            "pool_timeout",
            "connect_timeout",
            "socket_timeout",
            "max_connection_lifetime",
            "max_idle_connection_lifetime",
            "connection_timeout",
            "sslcert",
            "sslidentity",
            "sslpassword",
        ];
        NAMES.contains(&name)
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    (scheme.eq_ignore_ascii_case("postgres") || scheme.eq_ignore_ascii_case("postgresql")).then_some(rest)
}

/// What follows the user and password, still encoded.
struct Location<'text> {
    host: &'text str,
    port: Option<u16>,
    database: Option<&'text str>,
    query: Option<&'text str>,
}

/// Splits at the last `@` behind which there is a plausible location.
///
/// The password may contain any character and a parameter may contain an `@`, so the most telling location wins:
/// first one with only known parameters, then one with a database, then any.
fn split_user_info(rest: &str) -> Option<(Option<&str>, Location<'_>)> {
    let candidates = || {
        rest.rmatch_indices('@')
            .map(|(at, _)| (Some(&rest[..at]), &rest[at + 1..]))
            .chain(std::iter::once((None, rest)))
            .filter_map(|(user_info, location)| Some((user_info, Location::parse(location)?)))
    };
    let parameter_names = |location: &Location<'_>, accept: fn(&str) -> bool| {
        let names = form_urlencoded::parse(location.query.unwrap_or_default().as_bytes());
        location.query.is_none_or(|query| query.is_empty() || names.into_iter().all(|(name, _)| accept(&name)))
    };
    let looks_like_name = |name: &str| {
        !name.is_empty() && name.chars().all(|character| character.is_ascii_alphabetic() || character == '_')
    };
    candidates()
        .find(|(_, location)| location.query.is_some() && parameter_names(location, Parameters::knows))
        .or_else(|| {
            candidates().find(|(_, location)| location.database.is_some() && parameter_names(location, looks_like_name))
        })
        .or_else(|| candidates().next())
}

impl<'text> Location<'text> {
    fn parse(text: &'text str) -> Option<Self> {
        let (before, query) = match text.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (text, None),
        };
        let (authority, database) = match before.split_once('/') {
            Some((authority, database)) => (authority, Some(database).filter(|name| !name.is_empty())),
            None => (before, None),
        };
        if database.is_some_and(|name| name.contains(['/', '@', '#', ':'])) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some("") | None => None,
            Some(digits) => Some(digits.parse().ok()?),
        };
        Some(Self { host, port, database, query })
    }
}

/// Host without brackets, and the text behind the colon. `None` when it is no single host.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let plausible = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '%');
    host.chars().all(plausible).then_some((host, port))
}

fn non_empty(text: &str) -> Option<String> {
    Some(decode(text)).filter(|text| !text.is_empty())
}

/// Percent-decodes the text if all of it decodes to valid text; otherwise it was not encoded and stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let encoded = bytes.iter().enumerate().all(|(index, byte)| {
        *byte != b'%' || bytes.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if encoded && !decoded.contains('\0') => decoded.into_owned(),
        _ => text.to_owned(),
    }
}

fn schema_name(text: &str) -> Result<String, String> {
    // PostgreSQL cuts longer names, so a longer one would never match.
    if text.len() > 63 || text.contains('\0') {
        return Err("is not a schema name".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads `-c name=value` and `--name=value`; a backslash escapes the next character, as in libpq.
fn server_options(text: &str, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let words = words(text);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let assignment = match word.as_str() {
            "-c" => words.next().map(String::as_str),
            other => other.strip_prefix("--").or_else(|| other.strip_prefix("-c")),
        };
        match assignment.and_then(|assignment| assignment.split_once('=')) {
            Some((name, value)) => options.push((name.replace('-', "_"), value.to_owned())),
            None => {
                warnings.push("DATABASE_URL: a part of the parameter options is not supported and ignored".to_owned())
            }
        }
    }
    options
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            _ if character.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
