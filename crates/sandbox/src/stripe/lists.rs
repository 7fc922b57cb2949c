//! What objects and lists share: newest first, `limit`, cursors, `expand` of ids into objects, fields that are null.

use serde_json::{Value, json};

use super::{
    books::{Row, Table},
    error::StripeError,
    form::Form,
    state::State,
};

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;
const EXPAND_DEPTH: usize = 4;

/// The parameters that every list takes.
pub(super) const LIST_PARAMETERS: [&str; 5] = ["limit", "starting_after", "ending_before", "expand[]", "created[*]"];

/// The object with these fields too, all null: present in Stripe's answers and never set here.
pub(super) fn with_nulls(mut object: Value, names: &[&str]) -> Value {
    for name in names {
        object[*name] = Value::Null;
    }
    object
}

/// One page of the rows that `keep` accepts.
pub(super) fn page<T: Row>(
    table: &Table<T>,
    form: &Form,
    url: &str,
    created: impl Fn(&T) -> i64,
    keep: impl Fn(&T) -> bool,
    show: impl Fn(&T) -> Value,
) -> Result<Value, StripeError> {
    let limit = form.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("Invalid limit: must be between 1 and {MAX_LIMIT}");
        return Err(StripeError::invalid("parameter_invalid_integer", "limit", message));
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    let range = CreatedRange::read(form)?;
    let mut rows: Vec<&T> = table.rows().iter().rev().filter(|row| keep(row) && range.holds(created(row))).collect();
    if let Some(cursor) = form.text("starting_after")? {
        let position = position(table, &rows, cursor, "starting_after")?;
        rows.drain(..=position);
    }
    let mut has_more = rows.len() > limit;
    if let Some(cursor) = form.text("ending_before")? {
        let position = position(table, &rows, cursor, "ending_before")?;
        rows.truncate(position);
        has_more = rows.len() > limit;
        rows.drain(..rows.len().saturating_sub(limit));
    }
    rows.truncate(limit);
    let data: Vec<Value> = rows.into_iter().map(show).collect();
    Ok(json!({"object": "list", "url": url, "has_more": has_more, "data": data}))
}

fn position<T: Row>(table: &Table<T>, rows: &[&T], cursor: &str, param: &str) -> Result<usize, StripeError> {
    let found = rows.iter().position(|row| row.id() == cursor);
    found.ok_or_else(|| match table.get(cursor) {
        Some(_) => StripeError::invalid_without_code(param, format!("{cursor} is not in this list")),
        None => StripeError::no_such("object", cursor, param),
    })
}

/// `created[gte]` and its like.
#[derive(Default)]
struct CreatedRange {
    least: Option<i64>,
    most: Option<i64>,
}

impl CreatedRange {
    fn read(form: &Form) -> Result<Self, StripeError> {
        let above = form.integer("created[gt]")?.map(|bound| bound.saturating_add(1));
        let below = form.integer("created[lt]")?.map(|bound| bound.saturating_sub(1));
        Ok(Self { least: form.integer("created[gte]")?.or(above), most: form.integer("created[lte]")?.or(below) })
    }

    fn holds(&self, created: i64) -> bool {
        self.least.is_none_or(|least| created >= least) && self.most.is_none_or(|most| created <= most)
    }
}

impl State {
    /// Replaces ids by objects along the paths of `expand`.
    pub(super) fn expand(&self, value: &mut Value, form: &Form) -> Result<(), StripeError> {
        for path in form.list("expand")? {
            let fields: Vec<&str> = path.split('.').collect();
            if fields.len() > EXPAND_DEPTH {
                let message = "You cannot expand more than 4 levels of a property.";
                return Err(StripeError::invalid_without_code("expand", message));
            }
            self.expand_fields(value, &fields, &path)?;
        }
        Ok(())
    }

    fn expand_fields(&self, value: &mut Value, fields: &[&str], path: &str) -> Result<(), StripeError> {
        let Some((field, rest)) = fields.split_first() else { return Ok(()) };
        if let Value::Array(items) = value {
            return items.iter_mut().try_for_each(|item| self.expand_fields(item, fields, path));
        }
        if value["object"] == "checkout.session" && *field == "line_items" {
            value["line_items"] = self.line_items_json(value["id"].as_str().unwrap_or_default());
        }
        let Some(inner) = value.get_mut(*field) else {
            let message = format!("This property cannot be expanded ({path}).");
            return Err(StripeError::invalid_without_code("expand", message));
        };
        if let Some(object) = inner.as_str().and_then(|id| self.object(id)) {
            *inner = object;
        }
        match inner {
            Value::Null => Ok(()),
            Value::Object(_) | Value::Array(_) => self.expand_fields(inner, rest, path),
            _ => {
                let message = format!("This property cannot be expanded ({path}).");
                Err(StripeError::invalid_without_code("expand", message))
            }
        }
    }
}
