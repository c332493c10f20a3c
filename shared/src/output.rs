//! Prints the results of commands to standard output.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::exit;

/// The exit status of a program that nobody reads any more: 128 and the number of SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Writes to standard output. If nobody reads it any more, as after `head`, the process ends
/// with the status 141, and after any other error with 1 and a message.
pub fn write(text: fmt::Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(CLOSED_PIPE),
        Err(error) => {
            eprintln!("standard output cannot be written: {error}");
            exit(1);
        }
    }
}

/// Prints like `print!`, by [`output::write`](crate::output::write).
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => {
        $crate::output::write(format_args!($($text)*))
    };
}

/// Prints a line like `println!`, by [`output::write`](crate::output::write).
#[macro_export]
macro_rules! outln {
    () => {
        $crate::out!("\n")
    };
    ($($text:tt)*) => {
        $crate::out!("{}\n", format_args!($($text)*))
    };
}
