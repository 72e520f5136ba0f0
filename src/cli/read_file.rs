//! `read-file`: the text of one file whose format is not trusted, by a process that may come to grief.

use std::path::Path;

use anyhow::Context as _;
use tablewright_door::files::{Format, extract};

/// Most memory for reading one file, in bytes. A file that wants more ends this process and no other.
#[cfg(unix)]
const MEMORY: u64 = 1 << 30;
/// Most seconds of computing: an end even when nobody is there any more to end this process.
#[cfg(unix)]
const COMPUTING: u64 = 310;
/// Room for formats that nest, in bytes.
const STACK: usize = 64 << 20;

/// Writes the text to standard output and what is to be said of it to standard error.
pub fn run(format: &str, path: &Path) -> anyhow::Result<()> {
    let format = Format::named(format).context("there is no such format")?;
    bound()?;
    // Panics are answers here; their words are not.
    std::panic::set_hook(Box::new(|_| {}));
    let path = path.to_owned();
    let work = move || extract(format, &path, &mut std::io::stdout(), &mut std::io::stderr());
    let reading = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    reading.join().map_err(|_| anyhow::anyhow!("reading the file broke off"))??;
    Ok(())
}

#[cfg(unix)]
fn bound() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (what, most) in [(Resource::As, MEMORY), (Resource::Cpu, COMPUTING), (Resource::Core, 0)] {
        setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn bound() -> std::io::Result<()> {
    Ok(())
}
