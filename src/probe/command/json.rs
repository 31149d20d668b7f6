//! Facts out of output that is JSON.

use serde_json::Value as Json;

use crate::model::fact::Subject;
use crate::model::value::Value;
use crate::probe::http::answer::member;

/// Sets `json.PATH` for each of `asked` that is there; says why when there is no JSON at all.
pub fn facts(subject: &mut Subject, text: &str, asked: &[&str]) {
    match serde_json::from_str::<Json>(text) {
        Ok(json) => {
            for path in asked {
                if let Some(value) = member(&json, path).and_then(Value::from_json) {
                    subject.set(format!("json.{path}"), value);
                }
            }
        }
        Err(error) => subject.note(format!("stdout is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_through_objects_lists_and_keys_with_dots() {
        let json =
            serde_json::json!({"queue": {"depth": 0, "a.b": {"c": 1}}, "items": [{"id": 7}], "x.y": 2, "no": null});
        let seen = |path: &str| member(&json, path).map(ToString::to_string);
        assert_eq!(seen("queue.depth").as_deref(), Some("0"));
        assert_eq!(seen("queue.a.b.c").as_deref(), Some("1"));
        assert_eq!(seen("items.0.id").as_deref(), Some("7"));
        assert_eq!(seen("x.y").as_deref(), Some("2"));
        for missing in ["queue.size", "items.1", "items.id", "queue.depth.0", ""] {
            assert_eq!(seen(missing), None, "{missing}");
        }
    }

    #[test]
    fn null_and_missing_are_missing_facts() {
        let mut subject = Subject::new("x");
        facts(&mut subject, r#"{"no": null, "zero": 0}"#, &["no", "gone", "zero"]);
        assert_eq!(subject.facts.keys().collect::<Vec<_>>(), ["json.zero"]);
        facts(&mut subject, "", &["zero"]);
        assert!(subject.notes[0].starts_with("stdout is not JSON: EOF"), "{:?}", subject.notes);
    }
}
