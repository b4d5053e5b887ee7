//! Fields: reads members of a body whatever their case, liberal in form, strict in meaning.
//!
//! Absent and `null` are the same. Numbers and flags may come as text. What is there but cannot be
//! read fails with its path, so that nothing the domain needs is ever dropped in silence: the whole
//! body then counts as nonsense.

use serde_json::{Map, Value};

use crate::domain::time::{Time, upstream_date};

/// Why a body is not of the expected shape: path and reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub(super) struct WrongShape {
    /// E.g. `items[3].commitmentEndDate`.
    pub(super) path: String,
    /// What is wrong with it.
    pub(super) why: String,
}

/// The result of reading a field.
pub(super) type Read<T> = Result<T, WrongShape>;

/// An object of a body, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

/// The key under which a member stands, whatever its case: an exact match first.
pub(super) fn key_of<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    if let Some((key, _)) = object.get_key_value(name) {
        return Some(key);
    }
    object
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))
        .map(String::as_str)
}

/// A member whatever its case; `null` is none.
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    key_of(object, name)
        .and_then(|key| object.get(key))
        .filter(|value| !value.is_null())
}

fn describe(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 {
        format!("{}…", text.chars().take(80).collect::<String>())
    } else {
        text
    }
}

impl<'a> Fields<'a> {
    /// The body itself.
    pub(super) fn of(body: &'a Value) -> Read<Self> {
        Self::at(body, String::new())
    }

    fn at(value: &'a Value, path: String) -> Read<Self> {
        match value.as_object() {
            Some(object) => Ok(Self { object, path }),
            None => Err(WrongShape {
                path: if path.is_empty() {
                    "body".to_owned()
                } else {
                    path
                },
                why: format!("not an object: {}", describe(value)),
            }),
        }
    }

    fn child(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The complaint that a member is not what it should be.
    pub(super) fn wrong(&self, name: &str, why: impl Into<String>) -> WrongShape {
        WrongShape {
            path: self.child(name),
            why: why.into(),
        }
    }

    /// A member as it is.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        member(self.object, name)
    }

    /// Text; numbers and flags are written out.
    pub(super) fn text(&self, name: &str) -> Read<Option<String>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
            Some(other) => Err(self.wrong(name, format!("not a text: {}", describe(other)))),
        }
    }

    /// Text without blanks around it; empty is none.
    pub(super) fn word(&self, name: &str) -> Read<Option<String>> {
        Ok(self
            .text(name)?
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty()))
    }

    /// Text that has to be there.
    pub(super) fn required(&self, name: &str) -> Read<String> {
        self.word(name)?
            .ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A whole number, as number or text.
    pub(super) fn integer(&self, name: &str) -> Read<Option<i64>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => text
                .trim()
                .parse()
                .ok()
                .or_else(|| text.trim().parse().ok().and_then(whole)),
            _ => None,
        };
        number
            .map(Some)
            .ok_or_else(|| self.wrong(name, format!("not a whole number: {}", describe(value))))
    }

    /// A flag, as flag or text.
    pub(super) fn flag(&self, name: &str) -> Read<Option<bool>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value {
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Some(true)),
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Some(false)),
            other => Err(self.wrong(name, format!("not a flag: {}", describe(other)))),
        }
    }

    /// A date; years 1 and 9999 are none.
    pub(super) fn date(&self, name: &str) -> Read<Option<Time>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => upstream_date(text)
                .map_err(|text| self.wrong(name, format!("not a date: {text:.80}"))),
            Some(other) => Err(self.wrong(name, format!("not a date: {}", describe(other)))),
        }
    }

    /// An object; none when absent.
    pub(super) fn object(&self, name: &str) -> Read<Option<Fields<'a>>> {
        self.value(name)
            .map(|value| Self::at(value, self.child(name)))
            .transpose()
    }

    /// The objects of a list; empty when absent.
    pub(super) fn list(&self, name: &str) -> Read<Vec<Fields<'a>>> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::at(item, format!("{}[{index}]", self.child(name))))
                .collect(),
            Some(other) => Err(self.wrong(name, format!("not a list: {}", describe(other)))),
        }
    }

    /// The `items` of a collection, which have to be there: a body without them is no empty list.
    pub(super) fn items(&self) -> Read<Vec<Fields<'a>>> {
        if self.value("items").is_none() {
            return Err(self.wrong("items", "is missing"));
        }
        self.list("items")
    }
}

/// The objects of a body that is a collection or a bare list.
pub(super) fn items_or_list(body: &Value) -> Read<Vec<Fields<'_>>> {
    match body {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| Fields::at(item, format!("[{index}]")))
            .collect(),
        _ => Fields::of(body)?.items(),
    }
}

fn whole(number: f64) -> Option<i64> {
    // Up to 2^53 a float holds whole numbers exactly.
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_taken_liberally() {
        let body = json!({"Quantity": "3", "seats": 3.0, "Trial": "True", "Id": 7, "none": null, "blank": " "});
        let fields = Fields::of(&body).unwrap();
        assert_eq!(fields.integer("quantity"), Ok(Some(3)));
        assert_eq!(fields.integer("seats"), Ok(Some(3)));
        assert_eq!(fields.flag("trial"), Ok(Some(true)));
        assert_eq!(fields.word("id"), Ok(Some("7".to_owned())));
        assert_eq!(fields.word("none"), Ok(None));
        assert_eq!(fields.word("blank"), Ok(None));
        assert_eq!(fields.word("absent"), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_path() {
        let body = json!({"items": [{"a": 1}, {"date": "soon", "n": 1.5, "f": 2, "o": []}]});
        let items = Fields::of(&body).unwrap().items().unwrap();
        let path = |wrong: WrongShape| wrong.path;
        assert_eq!(
            items[1].date("date").map_err(path),
            Err("items[1].date".to_owned())
        );
        assert_eq!(
            items[1].integer("n").map_err(path),
            Err("items[1].n".to_owned())
        );
        assert_eq!(
            items[1].flag("f").map_err(path),
            Err("items[1].f".to_owned())
        );
        assert!(items[1].object("o").is_err());
        assert!(items[0].required("id").is_err());
    }

    #[test]
    fn a_body_without_items_is_no_empty_list() {
        for body in [
            json!({}),
            json!({"items": null}),
            json!({"items": {}}),
            json!("x"),
        ] {
            assert!(
                Fields::of(&body)
                    .and_then(|fields| fields.items().map(|i| i.len()))
                    .is_err()
            );
        }
        assert!(items_or_list(&json!([])).unwrap().is_empty());
        assert!(items_or_list(&json!([1])).is_err());
    }
}
