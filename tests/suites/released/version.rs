//! Versions as in semver: what may break, and what may not.

use std::fmt;
use std::str::FromStr;

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u64; 3]);

impl Version {
    /// Whether a document of this version may break what one of `old` promised:
    /// its leading number that is not zero is raised.
    pub fn may_break(self, old: Self) -> bool {
        self >= old.next_that_may_break()
    }

    /// The lowest version that may break what this one promised.
    pub fn next_that_may_break(self) -> Self {
        Self(match self.0 {
            [0, 0, patch] => [0, 0, patch + 1],
            [0, minor, _] => [0, minor + 1, 0],
            [major, ..] => [major + 1, 0, 0],
        })
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        numbers
            .map(Self)
            .ok_or_else(|| format!("{text} is no version of three numbers"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[test]
fn a_version_may_break_once_its_leading_number_that_is_not_zero_is_raised() {
    let rows = [
        ("0.1.0", "0.1.0", false),
        ("0.1.0", "0.1.9", false),
        ("0.1.9", "0.2.0", true),
        ("0.1.0", "1.0.0", true),
        ("0.0.3", "0.0.4", true),
        ("1.2.3", "1.2.4", false),
        ("1.2.3", "1.10.0", false),
        ("1.2.3", "2.0.0", true),
        ("2.0.0", "1.9.0", false),
    ];
    for (old, new, may) in rows {
        let [older, newer] = [old, new].map(|text| text.parse::<Version>().unwrap());
        assert_eq!(newer.may_break(older), may, "{old} to {new}");
    }
    assert!("1.2".parse::<Version>().is_err() && "1.2.3-rc1".parse::<Version>().is_err());
}
