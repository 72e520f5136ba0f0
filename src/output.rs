//! What commands print on standard output.

/// Prints what a command gives on standard output.
pub fn say(text: impl std::fmt::Display) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            anyhow::bail!("standard output cannot be written: {error}")
        }
        // Whoever read it has enough.
        _ => Ok(()),
    }
}

/// A name from a base or token on one line, with nothing in it that a terminal would obey.
pub fn shown(name: &str) -> String {
    let mut out = String::new();
    tablewright_toolkit::text::push_cell(&mut out, name, 200);
    out
}
