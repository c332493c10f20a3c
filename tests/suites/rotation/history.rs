//! A history of concurrent operations on the keys of one account, and the search for an order
//! in which a service without concurrency would have given the same answers.

use std::collections::HashSet;
use std::time::Instant;

/// The name of a key: the index of the operation that created it.
type Key = usize;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Create,
    Start,
    Finish,
    Cancel,
    Revoke,
    /// Asks whether a key works.
    Check(Key),
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The operation did what was asked, or the key works.
    Done,
    /// 409.
    Conflict,
    /// 404, or the key does not work.
    None,
}

/// An operation that was called. Without an answer, it may have happened at any time since,
/// or not at all.
#[derive(Debug, Clone)]
pub struct Operation {
    pub call: Call,
    pub began: Instant,
    pub reply: Option<(Reply, Instant)>,
    /// The process was not there, so it did not happen.
    pub was_refused: bool,
}

/// The keys of an account that work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Keys {
    active: Option<Key>,
    /// Whether the active key has replaced another, which was not canceled.
    has_replaced: bool,
    previous: Option<Key>,
}

impl Keys {
    /// Does what the operation with this index asks for. Returns the answer.
    fn apply(&mut self, index: usize, call: Call) -> Reply {
        match call {
            Call::Create if self.active.is_some() => return Reply::Conflict,
            Call::Create => {
                (self.active, self.has_replaced) = (Some(index), false);
            }
            Call::Start if self.active.is_none() => return Reply::None,
            Call::Start if self.previous.is_some() => return Reply::Conflict,
            Call::Start => {
                *self = Self {
                    active: Some(index),
                    has_replaced: true,
                    previous: self.active,
                };
            }
            Call::Finish => self.previous = None,
            Call::Cancel if self.previous.is_some() => {
                *self = Self {
                    active: self.previous,
                    has_replaced: false,
                    previous: None,
                };
            }
            Call::Cancel if self.active.is_some() && self.has_replaced => return Reply::Conflict,
            Call::Cancel => {}
            Call::Revoke => *self = Self::default(),
            Call::Check(key) => {
                let works = [self.active, self.previous].contains(&Some(key));
                return if works { Reply::Done } else { Reply::None };
            }
        }
        Reply::Done
    }
}

/// Returns whether the history, in the order in which the operations began, is explained by
/// some order of them, in which each happens between its call and its answer. The search is
/// that of Wing and Gong, and remembers where it has been.
pub fn is_linearizable(history: &[Operation]) -> bool {
    let mut seen = HashSet::new();
    let open = (0..history.len()).filter(|index| !history[*index].was_refused);
    let open: Vec<usize> = open.collect();
    search(history, &open, Keys::default(), &mut seen)
}

fn search(
    history: &[Operation],
    open: &[usize],
    keys: Keys,
    seen: &mut HashSet<(Vec<usize>, Keys)>,
) -> bool {
    // What has no answer need not have happened.
    let mut answers = open.iter().filter_map(|index| history[*index].reply);
    let Some((_, mut first_answer)) = answers.next() else {
        return true;
    };
    first_answer = answers.fold(first_answer, |first, (_, at)| first.min(at));
    if !seen.insert((open.to_vec(), keys)) {
        return false;
    }
    for (place, index) in open.iter().enumerate() {
        let operation = &history[*index];
        if operation.began > first_answer {
            break; // another was answered before this one and all that follow began
        }
        let mut after = keys;
        let reply = after.apply(*index, operation.call);
        if operation.reply.is_some_and(|(seen, _)| seen != reply) {
            continue;
        }
        let mut rest = open.to_vec();
        rest.remove(place);
        if search(history, &rest, after, seen) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Builds a history: each operation with its call, its answer, and the times of both.
    fn history(operations: &[(Call, Reply, u64, Option<u64>)]) -> Vec<Operation> {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let operations = operations.iter();
        operations
            .map(|(call, reply, began, answered)| Operation {
                call: *call,
                began: at(*began),
                reply: answered.map(|answered| (*reply, at(answered))),
                was_refused: false,
            })
            .collect()
    }

    #[test]
    fn an_order_is_found_if_there_is_one() {
        use Call::{Check, Create, Start};
        use Reply::{Conflict, Done, None};
        let begin = (Create, Done, 0, Some(1));
        let fine = [
            begin,
            (Start, Done, 2, Some(9)),
            (Start, Conflict, 3, Some(8)),
            (Check(0), Done, 10, Some(11)),
            (Check(1), Done, 10, Some(11)),
        ];
        assert!(is_linearizable(&history(&fine)));
        let lost = [
            begin,
            (Call::Finish, Done, 2, Option::None),
            (Check(0), Done, 3, Some(4)),
        ];
        assert!(is_linearizable(&history(&lost)));
        for wrong in [
            &[begin, (Check(0), None, 2, Some(3))][..],
            &[begin, (Start, Done, 2, Some(3)), (Start, Done, 4, Some(5))],
            &[
                begin,
                (Call::Revoke, Done, 2, Some(3)),
                (Check(0), Done, 4, Some(5)),
            ],
            &[
                begin,
                (Start, Done, 2, Some(3)),
                (Call::Finish, Done, 4, Some(5)),
                (Call::Cancel, Done, 6, Some(7)),
            ],
        ] {
            assert!(!is_linearizable(&history(wrong)), "{wrong:?}");
        }
    }
}
