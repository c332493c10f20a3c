use std::time::Duration;

use clap::Args;

use super::{Checker, Invalid};

/// The default of `ROTATION_OVERLAP`.
const DEFAULT: Duration = Duration::from_hours(24);

/// The longest time for which a key that was replaced may still work. The contract's limit.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The flags of the replacement of keys.
#[derive(Debug, Default, Args)]
pub struct RotationArgs {
    /// Time for which a key still works after it was replaced, unless the request says
    /// another: 0s to 7d [default: 24h]
    #[arg(long, env = "ROTATION_OVERLAP", value_name = "TIME")]
    pub rotation_overlap: Option<String>,
}

impl RotationArgs {
    /// Checks the setting.
    pub fn check(&self, checker: &mut Checker) -> Result<Duration, Invalid> {
        let expected = "a time from 0s to 7d, for instance 24h";
        checker
            .setting(
                "ROTATION_OVERLAP",
                self.rotation_overlap.as_deref(),
                expected,
            )
            .or_default(DEFAULT, |text| {
                let time = humantime::parse_duration(text).ok()?;
                (time <= LONGEST).then_some(time)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_at_most_a_week() {
        let check = |text: &str| {
            let rotation_overlap = Some(text.to_owned());
            let args = RotationArgs { rotation_overlap };
            args.check(&mut Checker::default()).ok()
        };
        assert_eq!(check("0s"), Some(Duration::ZERO));
        assert_eq!(check("7d"), Some(LONGEST));
        assert_eq!(check(""), Some(DEFAULT));
        for invalid in ["7d 1s", "86400", "-1s", "day"] {
            assert_eq!(check(invalid), None, "{invalid}");
        }
    }
}
