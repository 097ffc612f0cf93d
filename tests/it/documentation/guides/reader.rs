//! Somebody who does what a page says, in the root of the repository, with what the page takes for given.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use ltm_tests::{binary, free_port};
use tempfile::TempDir;

use super::{
    page::{Action, Page, Shown, at},
    terminal::{Failed, Terminal},
};

/// The ports that pages name: three services, and Redis.
const PORTS: [u16; 4] = [8000, 8001, 8002, 6379];

/// What takes Node, and is run where that is there: `make examples`.
const NODE: &[&str] = &["node", "npm", "npx"];

/// What runs before a page begins.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// What `make run` starts: `ltm dev` with its data where it is kept by default, and a history in LTM 1.
    MakeRun,
    /// Redis on its port, and `ltm dev` on that.
    Services,
}

impl Given {
    fn commands(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::MakeRun => {
                "ltm dev --listen 127.0.0.1:8000 > dev.log 2>&1 &
                 until curl -fso ready.txt localhost:8000/readyz; do sleep 0.1; done
                 ltm play tests/data/tutorial.json --speed max > play.log 2>&1\n"
            }
            Self::Services => {
                "mkdir data
                 redis-server --port 6379 --dir data --appendonly yes --save '' --maxmemory 1gb > redis.log 2>&1 &
                 LTM__REDIS__URL=redis://127.0.0.1:6379/0 ltm dev --listen 127.0.0.1:8000 > dev.log 2>&1 &
                 until curl -fso ready.txt localhost:8000/readyz; do sleep 0.1; done\n"
            }
        }
    }
}

/// Does what a page of the repository says.
pub(crate) fn follow(path: &str, given: Given) {
    let mut reader = Reader::new();
    let page = Page::read(path, &reader.ports);
    reader.prepare(given);
    reader
        .follow(&page)
        .unwrap_or_else(|wrong| panic!("{wrong}"));
}

/// A reader at work.
pub(crate) struct Reader {
    /// Whose commands do not end, the latest last. Dropped first.
    others: Vec<Terminal>,
    terminal: Terminal,
    variables: Vec<(String, String)>,
    /// The ports that pages name, and those that are free here.
    ports: [(u16, u16); 4],
    /// Whether the latest that was to be run in a terminal of its own was passed over.
    passed_over: bool,
    with_node: bool,
    scripts: usize,
    folder: TempDir,
}

impl Reader {
    /// One with a folder, a home and a shell of their own.
    pub(crate) fn new() -> Self {
        let ports = PORTS.map(|port| (port, free_port()));
        let folder = TempDir::new().expect("a temporary folder");
        let root = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let root = root.expect("the repository is there");
        for name in ["clients", "deploy", "docs", "examples", "tests"] {
            symlink(root.join(name), folder.path().join(name)).expect("a link");
        }
        let variables = variables(folder.path(), &ports);
        Self {
            others: Vec::new(),
            terminal: Terminal::open(folder.path(), &variables),
            variables,
            ports,
            passed_over: false,
            with_node: std::env::var_os("LTM_GUIDES_NODE").is_some(),
            scripts: 0,
            folder,
        }
    }

    fn prepare(&mut self, given: Given) {
        let mut commands = given.commands().to_owned();
        for (written, port) in self.ports {
            commands = commands.replace(&written.to_string(), &port.to_string());
        }
        self.run(&commands)
            .expect("what the page takes for given starts");
    }

    /// Does all that a page says, to its end or to where that is not as it says.
    pub(crate) fn follow(&mut self, page: &Page) -> Result<(), String> {
        for step in &page.steps {
            let wrong = |failed: Failed| at(&page.path, step.line + failed.line, &failed.how);
            match &step.action {
                Action::Save { name, text } => self.save(name, text),
                Action::Run { commands, .. } if self.lacks(commands) => {}
                Action::Leave { commands, .. } if self.lacks(commands) => self.passed_over = true,
                Action::Run { commands, shown } => {
                    let printed = self.run(commands).map_err(wrong)?;
                    if !shown.is(&printed) {
                        return Err(at(&page.path, step.line, &differs(shown, &printed)));
                    }
                }
                Action::Leave { commands, shown } => {
                    self.passed_over = false;
                    let file = self.script(commands);
                    let mut terminal = Terminal::open(self.folder.path(), &self.variables);
                    terminal.begin(&file);
                    terminal.until_it_shows(shown).map_err(wrong)?;
                    self.others.push(terminal);
                }
                Action::See { .. } if self.passed_over => {}
                Action::See { shown } => {
                    let nobody = || at(&page.path, step.line, "there is no such terminal");
                    let terminal = self.others.last_mut().ok_or_else(nobody)?;
                    terminal.until_it_shows(shown).map_err(wrong)?;
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, commands: &str) -> Result<String, Failed> {
        let file = self.script(commands);
        self.terminal.begin(&file);
        self.terminal.ended()
    }

    fn script(&mut self, commands: &str) -> PathBuf {
        self.scripts += 1;
        let file = self.folder.path().join(format!(".{}.sh", self.scripts));
        std::fs::write(&file, commands).expect("a file can be written");
        file
    }

    fn save(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        let folder = file.parent().expect("it is in a folder");
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(file, text).expect("a file can be written");
    }

    fn lacks(&self, commands: &str) -> bool {
        let needed = commands
            .split_whitespace()
            .any(|word| NODE.contains(&word.trim_start_matches('(')));
        needed && !self.with_node
    }
}

impl Drop for Reader {
    /// All at once: a gateway takes its time to end.
    fn drop(&mut self) {
        for terminal in self.others.iter_mut().rev() {
            terminal.end();
        }
        self.terminal.end();
    }
}

fn differs(shown: &Shown, printed: &str) -> String {
    let (shown, printed) = (shown.text.trim_end(), printed.trim_end());
    format!("the page shows:\n{shown}\n\nand it printed:\n{printed}\n")
}

/// What a reader's shell knows. Where a program's own default is a port, it is told the other one.
fn variables(folder: &Path, ports: &[(u16, u16)]) -> Vec<(String, String)> {
    let port = |written| ports.iter().find(|(port, _)| *port == written).unwrap().1;
    let programs = folder.join(".bin");
    std::fs::create_dir(&programs).expect("a folder");
    for name in ["ltm", "ltm-api", "ltm-gateway"] {
        symlink(binary(name), programs.join(name)).expect("a link");
    }
    let inherited = std::env::var("PATH").expect("there are programs");
    let cli = format!(
        "#!/bin/sh\nPATH='{inherited}' exec redis-cli -p {} \"$@\"\n",
        port(6379)
    );
    std::fs::write(programs.join("redis-cli"), cli).expect("a file can be written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(programs.join("redis-cli"), executable).expect("it is ours");
    // On a terminal, curl shows no progress beside what it prints.
    std::fs::write(folder.join(".curlrc"), "no-progress-meter\n").expect("a file can be written");
    [
        ("PATH", format!("{}:{inherited}", programs.display())),
        ("HOME", folder.display().to_string()),
        ("LANG", "C.UTF-8".into()),
        // redis-cli prints as on a terminal.
        ("FAKETTY", "1".into()),
        ("LTM_URL", format!("http://127.0.0.1:{}", port(8000))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
