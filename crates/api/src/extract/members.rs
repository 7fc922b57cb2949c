//! The properties of a JSON body as they were sent: in their order, and with the numbers' own text.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::rules::printable;

/// How many items of an array are told apart; as a body it is refused anyway.
const MOST_ITEMS: usize = 100;

/// An object's properties. The original's validator sees an array as an object with the keys 0, 1, …
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Each name once, in the order JavaScript keeps them: indices first, then as they came.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::with_capacity(self.0.len());
        let mut seen = std::collections::HashSet::new();
        names.extend(self.0.iter().map(|(name, _)| name.as_str()).filter(|name| seen.insert(*name)));
        names.sort_by_key(|name| index(name).map_or((true, 0), |index| (false, index)));
        names
    }

    /// A value's text as it was sent, of which the last counts.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    /// The values; or what is wrong with one of which JavaScript would have made something that cannot be kept.
    pub fn values(&self) -> Result<Map<String, Value>, String> {
        let parse = |(name, value): &(String, Box<RawValue>)| match serde_json::from_str(value.get()) {
            Ok(value) => Ok((name.clone(), value)),
            Err(error) => Err(unkept(&printable(name), &error.to_string())),
        };
        self.0.iter().map(parse).collect()
    }
}

fn unkept(name: &str, error: &str) -> String {
    if error.contains("out of range") {
        // Infinity is none of the numbers that the original's rule accepts.
        format!("{name} must be a number conforming to the specified constraints")
    } else if error.contains("recursion limit") {
        format!("{name} is nested too deeply")
    } else {
        format!("{name} must be valid Unicode")
    }
}

/// The number that a name is as an array's index.
fn index(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_canonical { name.parse().ok() } else { None }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while members.len() < MOST_ITEMS
            && let Some(item) = items.next_element()?
        {
            members.push((members.len().to_string(), item));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_come_in_the_order_javascript_keeps() {
        assert_eq!(members(r#"{"b":1,"10":1,"a":2,"9":1,"b":3,"01":0}"#).names(), ["9", "10", "b", "a", "01"]);
        assert_eq!(members("[{},1]").names(), ["0", "1"]);
        assert_eq!(members(&format!("[{}0]", "0,".repeat(500))).names().len(), MOST_ITEMS);
    }

    #[test]
    fn what_cannot_be_kept_is_told_by_name() {
        for (text, message) in [
            (r#"{"amount":1e400}"#, "amount must be a number conforming to the specified constraints"),
            (r#"{"name":"\ud800"}"#, "name must be valid Unicode"),
            (&format!("{{\"deep\":{}{}}}", "[".repeat(200), "]".repeat(200)), "deep is nested too deeply"),
        ] {
            assert_eq!(members(text).values().unwrap_err(), message);
        }
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let twice = members(r#"{"amount":1.10,"amount":0.20}"#);
        assert_eq!((twice.text("amount"), &twice.values().unwrap()["amount"]), (Some("0.20"), &Value::from(0.2)));
        assert_eq!(twice.text("other"), None);
    }
}
