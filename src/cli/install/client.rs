//! The clients, and where each keeps its configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// An MCP client whose configuration is a JSON file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Vscode,
    Cursor,
    Windsurf,
    Zed,
    GeminiCli,
}

/// The operating systems whose folders differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    Mac,
    Windows,
}

impl System {
    /// The one this program runs on.
    pub fn this() -> Self {
        match std::env::consts::OS {
            "macos" => Self::Mac,
            "windows" => Self::Windows,
            _ => Self::Linux,
        }
    }
}

/// Where the client keeps its configuration for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The configuration file.
    pub file: PathBuf,
    /// What is there when the client is installed.
    pub signs: Vec<PathBuf>,
}

impl Client {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Vscode => "VS Code",
            Self::Cursor => "Cursor",
            Self::Windsurf => "Windsurf",
            Self::Zed => "Zed",
            Self::GeminiCli => "Gemini CLI",
        }
    }

    /// The key of the file under which servers stand.
    pub fn key(self) -> &'static str {
        match self {
            Self::Vscode => "servers",
            Self::Zed => "context_servers",
            _ => "mcpServers",
        }
    }

    /// What to do so that the client sees a change.
    pub fn next(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Quit Claude Desktop and start it again.",
            Self::ClaudeCode => "Start a new session; /mcp shows the server.",
            Self::Vscode => "Run \"MCP: List Servers\" in VS Code to start it.",
            Self::Cursor => "Restart Cursor, or switch the server on in its MCP settings.",
            Self::Windsurf => "Press refresh in the MCP panel of Windsurf.",
            Self::Zed => "Zed starts it by itself; its agent settings show the server.",
            Self::GeminiCli => "Restart Gemini CLI; /mcp shows the server.",
        }
    }

    /// The entry that starts `command` with `args` over standard input and output.
    pub fn entry(self, command: &str, args: &[String]) -> Map<String, Value> {
        let mut entry = Map::new();
        if matches!(self, Self::ClaudeCode | Self::Vscode) {
            entry.insert("type".into(), json!("stdio"));
        }
        entry.insert("command".into(), json!(command));
        entry.insert("args".into(), json!(args));
        entry
    }

    /// The file for the project in `folder`; `None` for clients that have none.
    pub fn project_file(self, folder: &Path) -> Option<PathBuf> {
        let name = match self {
            Self::ClaudeDesktop | Self::Windsurf => return None,
            Self::ClaudeCode => ".mcp.json",
            Self::Vscode => ".vscode/mcp.json",
            Self::Cursor => ".cursor/mcp.json",
            Self::Zed => ".zed/settings.json",
            Self::GeminiCli => ".gemini/settings.json",
        };
        Some(folder.join(name))
    }

    /// The place for one person on `system`, by the environment `variable` reads.
    /// Fails with the name of a variable that must be set.
    pub fn place(
        self,
        system: System,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Place, &'static str> {
        let set = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || match system {
            System::Windows => set("USERPROFILE").ok_or("USERPROFILE"),
            _ => set("HOME").ok_or("HOME"),
        };
        let xdg = || match set("XDG_CONFIG_HOME").filter(|p| p.is_absolute()) {
            Some(folder) => Ok(folder),
            None => Ok(home()?.join(".config")),
        };
        // Where desktop programs of the system keep their settings.
        let settings = || match system {
            System::Linux => xdg(),
            System::Mac => Ok(home()?.join("Library/Application Support")),
            System::Windows => set("APPDATA").ok_or("APPDATA"),
        };
        let within = |folder: PathBuf, file: &str| Place { file: folder.join(file), signs: vec![folder] };
        Ok(match self {
            Self::ClaudeDesktop => within(settings()?.join("Claude"), "claude_desktop_config.json"),
            Self::ClaudeCode => match set("CLAUDE_CONFIG_DIR") {
                Some(folder) => within(folder, ".claude.json"),
                None => {
                    let file = home()?.join(".claude.json");
                    Place { signs: vec![home()?.join(".claude"), file.clone()], file }
                }
            },
            Self::Vscode => within(settings()?.join("Code"), "User/mcp.json"),
            Self::Cursor => within(home()?.join(".cursor"), "mcp.json"),
            Self::Windsurf => within(home()?.join(".codeium/windsurf"), "mcp_config.json"),
            Self::Zed => match system {
                System::Windows => within(settings()?.join("Zed"), "settings.json"),
                System::Mac => within(home()?.join(".config/zed"), "settings.json"),
                System::Linux => within(xdg()?.join("zed"), "settings.json"),
            },
            Self::GeminiCli => within(home()?.join(".gemini"), "settings.json"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(client: Client, system: System, extra: &[(&str, &str)]) -> Result<String, &'static str> {
        let mut all = vec![("HOME", "/h"), ("USERPROFILE", "/u"), ("APPDATA", "/u/AppData/Roaming")];
        all.splice(0..0, extra.iter().copied());
        let variable = |name: &str| all.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        client.place(system, variable).map(|place| place.file.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_client_has_its_place_on_every_system() {
        use Client::*;
        for (client, linux, mac, windows) in [
            (
                ClaudeDesktop,
                "/h/.config/Claude/claude_desktop_config.json",
                "/h/Library/Application Support/Claude/claude_desktop_config.json",
                "/u/AppData/Roaming/Claude/claude_desktop_config.json",
            ),
            (ClaudeCode, "/h/.claude.json", "/h/.claude.json", "/u/.claude.json"),
            (
                Vscode,
                "/h/.config/Code/User/mcp.json",
                "/h/Library/Application Support/Code/User/mcp.json",
                "/u/AppData/Roaming/Code/User/mcp.json",
            ),
            (Cursor, "/h/.cursor/mcp.json", "/h/.cursor/mcp.json", "/u/.cursor/mcp.json"),
            (
                Windsurf,
                "/h/.codeium/windsurf/mcp_config.json",
                "/h/.codeium/windsurf/mcp_config.json",
                "/u/.codeium/windsurf/mcp_config.json",
            ),
            (
                Zed,
                "/h/.config/zed/settings.json",
                "/h/.config/zed/settings.json",
                "/u/AppData/Roaming/Zed/settings.json",
            ),
            (GeminiCli, "/h/.gemini/settings.json", "/h/.gemini/settings.json", "/u/.gemini/settings.json"),
        ] {
            for (system, expected) in [(System::Linux, linux), (System::Mac, mac), (System::Windows, windows)]
            {
                assert_eq!(file(client, system, &[]).as_deref(), Ok(expected));
            }
        }
    }

    #[test]
    fn variables_move_the_place() {
        let xdg = [("XDG_CONFIG_HOME", "/x")];
        assert_eq!(file(Client::Zed, System::Linux, &xdg).as_deref(), Ok("/x/zed/settings.json"));
        assert_eq!(file(Client::Zed, System::Mac, &xdg).as_deref(), Ok("/h/.config/zed/settings.json"));
        let relative = [("XDG_CONFIG_HOME", "x")];
        assert_eq!(
            file(Client::Zed, System::Linux, &relative).as_deref(),
            Ok("/h/.config/zed/settings.json")
        );
        let claude = [("CLAUDE_CONFIG_DIR", "/c")];
        assert_eq!(file(Client::ClaudeCode, System::Mac, &claude).as_deref(), Ok("/c/.claude.json"));
        assert_eq!(file(Client::Vscode, System::Windows, &[("APPDATA", "")]), Err("APPDATA"));
        assert_eq!(file(Client::Cursor, System::Linux, &[("HOME", "")]), Err("HOME"));
    }
}
