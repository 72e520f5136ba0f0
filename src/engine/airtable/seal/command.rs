//! A key that another program gives, such as the command of a keychain.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tablewright_core::secret::Secret;

use super::MAX_KEY_FILE;

/// How long the command may take: a keychain may have to ask somebody first.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A command, and the key it gave. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::airtable) struct KeyCommand {
    text: Arc<str>,
    held: Arc<Mutex<Option<Secret>>>,
}

impl KeyCommand {
    pub(in crate::airtable) fn new(text: &str) -> Self {
        Self { text: text.into(), held: Arc::default() }
    }

    /// What the command prints; it is asked once, unless it fails.
    pub(super) fn key(&self) -> Result<Secret, String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*held {
            return Ok(key.clone());
        }
        let key = run(&self.text)?;
        *held = Some(key.clone());
        Ok(key)
    }
}

fn run(text: &str) -> Result<Secret, String> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.args([flag, text]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("it cannot be started: {e}"))?;
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut printed = Vec::new();
        output.map(|output| output.take(MAX_KEY_FILE).read_to_end(&mut printed));
        printed
    });
    let ended = wait(&mut child)?;
    if !ended {
        // Its reader ends with it.
        return Err(format!("it took longer than {} seconds", PATIENCE.as_secs()));
    }
    let printed = reader.join().map_err(|_| "what it prints cannot be read".to_owned())?;
    String::from_utf8(printed).map(Secret::new).map_err(|_| "it prints something else than text".to_owned())
}

/// Waits for the end of the command; false when it took too long and was ended.
fn wait(child: &mut Child) -> Result<bool, String> {
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(true),
            Some(status) => return Err(format!("it failed ({status})")),
            None if begun.elapsed() > PATIENCE => {
                let _ = child.kill().and_then(|()| child.wait());
                return Ok(false);
            }
            None => std::thread::sleep(LOOK),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_the_key_once_and_its_failures_are_told() {
        let folder = std::env::temp_dir().join(format!("tablewright-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let count = folder.join("asked");
        let _ = std::fs::remove_file(&count);
        let command = KeyCommand::new(&format!("echo x >> {}; echo secret", count.display()));
        for _ in 0..2 {
            assert_eq!(command.clone().key().unwrap().reveal().trim(), "secret");
        }
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
        assert!(KeyCommand::new("exit 3").key().unwrap_err().contains("it failed"));
        assert!(!format!("{command:?}").contains("secret\n"), "{command:?}");
    }
}
