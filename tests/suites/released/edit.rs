//! Changes to a document, as people make them.

use serde_json::{Value, json};

/// What is done at a JSON pointer.
pub enum Edit {
    /// The member or item goes.
    Remove,
    /// It gets this value, be it there already or not.
    Set(Value),
    /// The list gets one more.
    Push(Value),
    /// The member gets another name.
    Rename(&'static str),
    /// The list is turned round.
    Reverse,
}

/// The document after the edit.
pub fn edited(document: &Value, pointer: &str, edit: &Edit) -> Value {
    let mut document = document.clone();
    let (around, last) = pointer.rsplit_once('/').unwrap();
    let last = last.replace("~1", "/");
    let around = document.pointer_mut(around).expect(pointer);
    match (edit, around) {
        (Edit::Set(value), Value::Object(members)) => {
            members.insert(last, value.clone());
        }
        (Edit::Remove, Value::Object(members)) => {
            members.shift_remove(&last).expect(pointer);
        }
        (Edit::Remove, Value::Array(items)) => {
            items.remove(last.parse().unwrap());
        }
        (Edit::Rename(name), Value::Object(members)) => {
            let value = members.shift_remove(&last).expect(pointer);
            members.insert((*name).to_owned(), value);
        }
        (Edit::Push(item), around) => match &mut around[&last] {
            Value::Array(items) => items.push(item.clone()),
            absent => *absent = json!([item]),
        },
        (Edit::Reverse, around) => around[&last].as_array_mut().unwrap().reverse(),
        _ => panic!("no such edit at {pointer}"),
    }
    document
}
