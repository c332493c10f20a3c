//! Runs cases of the test program again, with other servers than those of `make test`.

use std::time::Duration;

use tokio::process::Command;

use crate::tool::succeeds;

const TIME_LIMIT: Duration = Duration::from_mins(5);

/// Runs the cases whose names contain one of `wanted` and none of `unwanted` again, in a process
/// with these additional variables. Checks that all pass, and that they are at least `least`.
/// Returns their number.
pub async fn rerun(
    wanted: &[&str],
    unwanted: &[&str],
    variables: &[(&str, String)],
    least: usize,
) -> usize {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(this);
    command.args(wanted);
    for name in unwanted {
        command.args(["--skip", name]);
    }
    command.envs(variables.iter().cloned());
    let what = format!("{wanted:?} with {variables:?}");
    let output = succeeds(&what, &mut command, TIME_LIMIT).await;
    let result = output
        .lines()
        .find(|line| line.starts_with("test result: "));
    let result = result.unwrap_or_else(|| panic!("{what}: no result:\n{output}"));
    let passed = result.split(' ').nth(3).unwrap();
    let passed: usize = passed.parse().unwrap();
    assert!(passed >= least, "{what}: only {result}\n{output}");
    passed
}
