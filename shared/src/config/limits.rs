use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::{Checker, Invalid};

/// The largest number of a limit.
const MAX_COUNT: u32 = 1_000_000;

/// The flags of the limits on what one caller may do. Each process counts on its own.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Limits of each process, as N/s, N/m, N/h or off")]
pub struct LimitArgs {
    /// Creations, rotations and revocations of keys by an account [default: 20/h]
    #[arg(long, env = "RATE_LIMIT_CREATE", value_name = "RATE")]
    pub rate_limit_create: Option<String>,

    /// Portal links for a key [default: 30/m]
    #[arg(long, env = "RATE_LIMIT_PORTAL", value_name = "RATE")]
    pub rate_limit_portal: Option<String>,

    /// Requests with invalid credentials from an address [default: 60/m]
    #[arg(long, env = "RATE_LIMIT_FAILED_AUTH", value_name = "RATE")]
    pub rate_limit_failed_auth: Option<String>,

    /// Reports of leaked keys from an address [default: 30/m]
    #[arg(long, env = "RATE_LIMIT_REPORTS", value_name = "RATE")]
    pub rate_limit_reports: Option<String>,
}

/// A number of requests in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of requests, which may also come all at once.
    pub count: NonZeroU32,
    /// The time in which the number is allowed again.
    pub per: Duration,
}

/// The limits on what one caller may do in this process. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitConfig {
    /// Creations, rotations and revocations of keys by an account.
    pub create: Option<Rate>,
    /// Portal links for a key.
    pub portal: Option<Rate>,
    /// Requests with invalid credentials from an address.
    pub failed_auth: Option<Rate>,
    /// Reports of leaked keys from an address.
    pub reports: Option<Rate>,
}

impl LimitArgs {
    /// Checks the settings.
    pub fn check(&self, checker: &mut Checker) -> Result<LimitConfig, Invalid> {
        let mut limit = |variable, given: &Option<String>, default| {
            let expected =
                "a number from 1 to 1000000 and a unit, for instance 20/h (s, m or h), or off";
            let setting = checker.setting(variable, given.as_deref(), expected);
            let limit = setting.or_default(parse(default), |text| parse(text).map(Some))?;
            Ok(limit.and_then(Limit::rate))
        };
        let create = limit("RATE_LIMIT_CREATE", &self.rate_limit_create, "20/h");
        let portal = limit("RATE_LIMIT_PORTAL", &self.rate_limit_portal, "30/m");
        let failed_auth = limit(
            "RATE_LIMIT_FAILED_AUTH",
            &self.rate_limit_failed_auth,
            "60/m",
        );
        let reports = limit("RATE_LIMIT_REPORTS", &self.rate_limit_reports, "30/m");
        Ok(LimitConfig {
            create: create?,
            portal: portal?,
            failed_auth: failed_auth?,
            reports: reports?,
        })
    }
}

/// A limit, as it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Off,
    At(Rate),
}

impl Limit {
    fn rate(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::At(rate) => Some(rate),
        }
    }
}

fn parse(text: &str) -> Option<Limit> {
    if text == "off" {
        return Some(Limit::Off);
    }
    let (count, unit) = text.split_once('/')?;
    let per = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return None,
    };
    let count: NonZeroU32 = count.parse().ok()?;
    if count.get() > MAX_COUNT {
        return None;
    }
    Some(Limit::At(Rate { count, per }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_in_a_time_or_off() {
        let rate = parse("20/h").and_then(Limit::rate).unwrap();
        assert_eq!((rate.count.get(), rate.per), (20, Duration::from_hours(1)));
        assert_eq!(parse("off"), Some(Limit::Off));
        for invalid in [
            "",
            "20",
            "20/d",
            "0/s",
            "1000001/h",
            "-1/s",
            "1.5/s",
            "/s",
            "20/",
            "OFF",
        ] {
            assert_eq!(parse(invalid), None, "{invalid}");
        }
    }
}
