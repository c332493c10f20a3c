//! Edits of a document, for the tests of the comparison.

use serde_json::{Value, json};

/// A change at a JSON pointer.
pub enum Edit {
    /// Removes the member or item.
    Remove,
    /// Sets the value of the member, which may be new.
    Set(Value),
    /// Appends an item to the list, which may be new.
    Push(Value),
    /// Renames the member.
    Rename(&'static str),
    /// Reverses the list.
    Reverse,
}

/// Returns a copy of the document with the edit.
pub fn edited(document: &Value, pointer: &str, edit: &Edit) -> Value {
    let mut document = document.clone();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let last = last.replace("~1", "/");
    let parent = document.pointer_mut(parent).expect(pointer);
    match (edit, parent) {
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
        (Edit::Push(item), parent) => match &mut parent[&last] {
            Value::Array(items) => items.push(item.clone()),
            absent => *absent = json!([item]),
        },
        (Edit::Reverse, parent) => parent[&last].as_array_mut().unwrap().reverse(),
        _ => panic!("this edit is impossible at {pointer}"),
    }
    document
}
