//! The validation rules of request bodies, with the texts the original gives for each.
//!
//! A body's fields and their rules are a constant table beside its type. All broken rules are reported, in the
//! table's order, after the unknown properties. Values stay JSON here; the type is made afterwards by serde.

use freehunt_domain::money::Cents;
use serde_json::{Map, Value};
use uuid::{Uuid, Variant};

use super::members::Members;

/// A field of a request body.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// Whether the field may be absent.
    pub optional: bool,
    /// Whether `null` is the same as absent.
    pub nullable: bool,
    /// In the order of the texts.
    pub rules: &'static [Rule],
}

impl Field {
    pub const fn required(name: &'static str, rules: &'static [Rule]) -> Self {
        Self { name, optional: false, nullable: false, rules }
    }

    /// May be absent or `null`.
    pub const fn optional(name: &'static str, rules: &'static [Rule]) -> Self {
        Self { name, optional: true, nullable: true, rules }
    }

    /// May be absent, but not `null`: changes of what always has a value.
    pub const fn not_null(name: &'static str, rules: &'static [Rule]) -> Self {
        Self { name, optional: true, nullable: false, rules }
    }

    /// The same fields for a change: what is absent stays, but nothing that always has a value becomes `null`.
    pub const fn partial<const N: usize>(mut fields: [Self; N]) -> [Self; N] {
        let mut index = 0;
        while index < N {
            fields[index].optional = true;
            index += 1;
        }
        fields
    }

    /// Known and ignored: clients of the original send it.
    pub const fn ignored(name: &'static str) -> Self {
        Self { name, optional: true, nullable: true, rules: &[] }
    }
}

/// What happens to properties the table does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Refuse,
    Ignore,
}

/// One rule of one field. Lengths are counted in characters.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    IsString,
    NotEmpty,
    /// Of a text: not only white space. A limit of this server's own, as are `Limit`, `OneOf` and those of lists: of
    /// another type's faults the original's rules tell.
    NotBlank,
    Length(usize, usize),
    MinLength(usize),
    MaxLength(usize),
    /// Of a text.
    Limit(usize),
    /// Of a text.
    OneOf(&'static [&'static str]),
    IsEmail,
    IsUuid,
    IsEnum(&'static [&'static str]),
    IsBoolean,
    IsNumber,
    /// Of a number; beside a rule that asks for one.
    IsInteger,
    IsPositive,
    /// Told as the original does, which refused 0 too.
    IsPositiveOrZero,
    Min(f64),
    /// Of a number; beside a rule that asks for one.
    Max(f64),
    /// Euros with at most two decimals, up to 999 999.99; the value becomes integer cents.
    IsMoney,
    IsDate,
    IsIso8601,
    IsArray,
    EachString,
    EachUuid,
    /// Of a list: nothing but texts.
    OnlyStrings,
    EachMaxLength(usize),
    MaxItems(usize),
    /// Exactly nine digits.
    IsSiren,
    IsUrl,
}

impl Rule {
    fn holds(self, value: &Value) -> bool {
        let text = value.as_str();
        let number = value.as_f64();
        let characters = text.map(|text| text.chars().count());
        let items = value.as_array();
        match self {
            Self::IsString => text.is_some(),
            Self::NotEmpty => !value.is_null() && text != Some(""),
            Self::NotBlank => text.is_none_or(|text| !text.trim().is_empty()),
            Self::Length(least, most) => characters.is_some_and(|count| (least..=most).contains(&count)),
            Self::MinLength(least) => characters.is_some_and(|count| count >= least),
            Self::MaxLength(most) => characters.is_some_and(|count| count <= most),
            Self::IsEmail => text.is_some_and(is_email),
            Self::IsUuid => text.is_some_and(is_body_uuid),
            Self::IsEnum(names) => text.is_some_and(|text| names.contains(&text)),
            Self::OneOf(names) => text.is_none_or(|text| names.contains(&text)),
            Self::IsBoolean => value.is_boolean(),
            Self::IsNumber | Self::IsMoney => number.is_some_and(f64::is_finite),
            Self::Limit(most) => characters.is_none_or(|count| count <= most),
            Self::IsInteger => number.is_none_or(|number| number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)),
            Self::IsPositive => number.is_some_and(|number| number > 0.0),
            Self::IsPositiveOrZero => number.is_some_and(|number| number >= 0.0),
            Self::Min(least) => number.is_some_and(|number| number >= least),
            Self::Max(most) => number.is_none_or(|number| number <= most),
            Self::IsDate | Self::IsIso8601 => text.is_some_and(|text| super::body::parse_date(text).is_some()),
            Self::IsArray => items.is_some(),
            Self::EachString => items.is_some_and(|items| items.iter().all(Value::is_string)),
            Self::OnlyStrings => items.is_none_or(|items| items.iter().all(Value::is_string)),
            Self::EachUuid => {
                items.is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(is_body_uuid)))
            }
            Self::EachMaxLength(most) => items.is_none_or(|items| {
                items.iter().all(|item| item.as_str().is_none_or(|text| text.chars().count() <= most))
            }),
            Self::MaxItems(most) => items.is_none_or(|items| items.len() <= most),
            Self::IsSiren => {
                text.is_some_and(|text| text.len() == SIREN_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()))
            }
            Self::IsUrl => text.is_some_and(|text| url::Url::parse(text).is_ok()),
        }
    }

    /// The value as the body's type takes it, where that is another than was sent; or what is wrong with it after all.
    fn normal_form(self, field: &str, value: &Value, sent: Option<&str>) -> Option<Result<Value, String>> {
        match self {
            // Amounts are read from their decimal text, which a float would lose.
            Self::IsMoney => {
                let cents = sent.map(Cents::parse_euros)?;
                let told = |error| format!("{field} must be an amount in euros: {error}");
                Some(cents.map(|cents| Value::from(cents.0)).map_err(told))
            }
            #[expect(clippy::cast_possible_truncation, reason = "the rule held: whole, and within i32")]
            Self::IsInteger => value.as_f64().map(|number| Ok(Value::from(number as i64))),
            _ => None,
        }
    }

    /// What the original says of `value`, which breaks this rule.
    fn text(self, field: &str, value: &Value) -> String {
        match self {
            Self::IsString => format!("{field} must be a string"),
            Self::NotEmpty | Self::NotBlank => format!("{field} should not be empty"),
            Self::Length(least, most) => length_text(field, value, least, most),
            Self::MinLength(least) => format!("{field} must be longer than or equal to {least} characters"),
            Self::MaxLength(most) | Self::Limit(most) => {
                format!("{field} must be shorter than or equal to {most} characters")
            }
            Self::IsEmail => format!("{field} must be an email"),
            Self::IsUuid => format!("{field} must be a UUID"),
            Self::IsEnum(names) | Self::OneOf(names) => {
                format!("{field} must be one of the following values: {}", names.join(", "))
            }
            Self::IsBoolean => format!("{field} must be a boolean value"),
            Self::IsNumber => format!("{field} must be a number conforming to the specified constraints"),
            Self::IsInteger => format!("{field} must be an integer number"),
            Self::IsPositive | Self::IsPositiveOrZero => format!("{field} must be a positive number"),
            Self::Min(least) => format!("{field} must not be less than {least}"),
            Self::Max(most) => format!("{field} must not be greater than {most}"),
            Self::IsMoney => format!("{field} must be a number conforming to the specified constraints"),
            Self::IsDate => format!("{field} must be a Date instance"),
            Self::IsIso8601 => format!("{field} must be a valid ISO 8601 date string"),
            Self::IsArray => format!("{field} must be an array"),
            Self::EachString | Self::OnlyStrings => format!("each value in {field} must be a string"),
            Self::EachUuid => format!("each value in {field} must be a UUID"),
            Self::EachMaxLength(most) => {
                format!("each value in {field} must be shorter than or equal to {most} characters")
            }
            Self::MaxItems(most) => format!("{field} must contain no more than {most} elements"),
            Self::IsSiren if is_shorter(value, SIREN_DIGITS) => Self::MinLength(SIREN_DIGITS).text(field, value),
            // The original's rule has no upper end, and its text says so.
            Self::IsSiren if !value.is_string() => {
                format!(
                    "{field} must be longer than or equal to {SIREN_DIGITS} and shorter than or equal to undefined characters"
                )
            }
            Self::IsSiren => format!("{field} must be exactly {SIREN_DIGITS} digits"),
            Self::IsUrl => format!("{field} must be a URL address"),
        }
    }
}

const SIREN_DIGITS: usize = 9;

/// As JavaScript sees it: nothing, or a text with fewer UTF-16 units.
fn is_shorter(value: &Value, least: usize) -> bool {
    match value {
        Value::String(text) => text.encode_utf16().count() < least,
        Value::Array(items) => items.len() < least,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Null | Value::Bool(false) => true,
        _ => false,
    }
}

/// The original counts code points for the rule and UTF-16 units for its text.
fn length_text(field: &str, value: &Value, least: usize, most: usize) -> String {
    let is_longer = match value {
        Value::String(text) => text.encode_utf16().count() > most,
        Value::Array(items) => items.len() > most,
        _ => false,
    };
    if is_shorter(value, least) {
        format!("{field} must be longer than or equal to {least} characters")
    } else if is_longer {
        format!("{field} must be shorter than or equal to {most} characters")
    } else {
        format!("{field} must be longer than or equal to {least} and shorter than or equal to {most} characters")
    }
}

/// Checks `object`, made of `members`, against `fields`; returns every text, unknown properties first. Optional fields
/// that are `null` are taken out, money becomes cents, and whole numbers lose their fraction part.
pub fn check(object: &mut Map<String, Value>, members: &Members, fields: &[Field], unknown: Unknown) -> Vec<String> {
    let mut messages = Vec::new();
    if unknown == Unknown::Refuse {
        let names = members.names();
        let extra = names.into_iter().filter(|name| !fields.iter().any(|field| field.name == *name));
        messages.extend(extra.map(|name| format!("property {} should not exist", printable(name))));
    }
    object.retain(|name, _| fields.iter().any(|field| field.name == name));
    for field in fields {
        check_field(object, field, members, &mut messages);
    }
    messages
}

fn check_field(object: &mut Map<String, Value>, field: &Field, members: &Members, messages: &mut Vec<String>) {
    let absent = object.get(field.name).is_none_or(|value| field.nullable && value.is_null());
    if field.optional && (absent || field.rules.is_empty()) {
        object.remove(field.name);
        return;
    }
    let value = object.get(field.name).unwrap_or(&Value::Null);
    let before = messages.len();
    messages.extend(field.rules.iter().filter(|rule| !rule.holds(value)).map(|rule| rule.text(field.name, value)));
    if contains_nul(value) {
        messages.push(format!("{} must not contain null characters", field.name));
    }
    if messages.len() > before {
        return;
    }
    for rule in field.rules {
        match rule.normal_form(field.name, value, members.text(field.name)) {
            None => {}
            Some(Ok(value)) => {
                object.insert(field.name.to_owned(), value);
                return;
            }
            Some(Err(message)) => {
                messages.push(message);
                return;
            }
        }
    }
}

fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(map) => map.iter().any(|(name, item)| name.contains('\0') || contains_nul(item)),
        _ => false,
    }
}

/// A property's name is echoed in the answer; keep it short and on one line.
pub(super) fn printable(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(100).collect()
}

/// UUIDs in bodies: versions 1 to 8 with the standard variant, or the nil and max UUIDs, hyphenated.
pub fn is_body_uuid(text: &str) -> bool {
    let Some(id) = parse_hyphenated(text) else { return false };
    id.is_nil() || id.is_max() || (id.get_variant() == Variant::RFC4122 && (1..=8).contains(&id.get_version_num()))
}

/// UUIDs in paths: any hex digits in the groups 8-4-4-4-12.
pub fn parse_hyphenated(text: &str) -> Option<Uuid> {
    let groups_fit = text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if groups_fit { Uuid::try_parse(text).ok() } else { None }
}

/// The shape of an address: one `@`, a local part, a dotted domain, no white space. Whether it exists is Authentik's business.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let domain_fits = domain.split('.').count() >= 2
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|character| character.is_alphanumeric() || character == '-')
        })
        && domain.rsplit('.').next().is_some_and(is_top_level);
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|character| character.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(character));
    text.len() <= 254 && domain_fits && local_fits
}

/// At least two letters, or a name in Punycode.
fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--") || label.chars().count() >= 2 && label.chars().all(char::is_alphabetic)
}
