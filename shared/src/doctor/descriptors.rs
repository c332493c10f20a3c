use super::Finding;
use crate::runtime;

const CHECK: &str = "descriptors";

/// The descriptors (files, sockets) that a process needs.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    /// The number with which all of its settings can be used.
    pub needed: usize,
    /// What they are for.
    pub purpose: &'static str,
}

impl Descriptors {
    /// Compares what the process may open with what it needs. It has raised its own limit
    /// to the highest that it may.
    pub(super) fn check(self) -> Finding {
        judge(runtime::max_descriptors(), self)
    }
}

fn judge(allowed: usize, Descriptors { needed, purpose }: Descriptors) -> Finding {
    let message = format!("the process may open {allowed}, and needs {needed} for {purpose}");
    if allowed >= needed {
        return Finding::ok(CHECK, message);
    }
    let fix = format!(
        "raise the hard limit to {needed}: `ulimit -Hn`, LimitNOFILE= of systemd, or --ulimit nofile \
         of a container; or lower the setting"
    );
    Finding::warning(CHECK, message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn fewer_descriptors_than_the_settings_need_are_a_warning() {
        let needed = Descriptors {
            needed: 10_256,
            purpose: "connections",
        };
        assert_eq!(judge(10_256, needed).status, Status::Ok);
        assert_eq!(judge(10_255, needed).status, Status::Warning);
    }
}
