use std::env;

use secrecy::SecretString;

use super::{Checker, Invalid};

/// Reads a secret setting from its variable, or from the file that the variable with
/// `_FILE` at its end names. A line break at the end of the file is not part of the
/// secret.
///
/// Secrets have no flags, because every user of the machine can read the flags of a
/// process.
pub(super) fn read_secret(
    checker: &mut Checker,
    variable: &'static str,
) -> Result<Option<SecretString>, Invalid> {
    let direct = value(variable);
    let file_variable = format!("{variable}_FILE");
    let Some(file) = value(&file_variable) else {
        return Ok(direct.map(SecretString::from));
    };
    if direct.is_some() {
        let expected = "no value, because the secret itself is set too";
        let both = checker.setting(file_variable, Some(&file), expected);
        return Err(both.report());
    }
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.trim_end_matches(['\r', '\n']).is_empty() => {
            let secret = text.trim_end_matches(['\r', '\n']);
            Ok(Some(SecretString::from(secret)))
        }
        Ok(_) | Err(_) => {
            let expected = "a file that this process can read, with the secret as its only line";
            Err(checker
                .setting(file_variable, Some(&file), expected)
                .report())
        }
    }
}

/// Returns whether a secret setting is set, directly or by a file.
pub(super) fn is_set(variable: &str) -> bool {
    value(variable).is_some() || value(&format!("{variable}_FILE")).is_some()
}

/// Returns the value of a variable. An empty one counts as not set. In one that is not
/// UTF-8, a character stands that no secret setting allows.
pub(super) fn value(name: &str) -> Option<String> {
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    Some(value).filter(|value| !value.is_empty())
}
