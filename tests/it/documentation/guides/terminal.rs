//! A shell that does what a page says, as its reader's would: one session, in which variables and jobs stay.

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Instant,
};

use ltm_tests::{LIMIT, attempt};

use super::page::Shown;

/// What the shell prints after the commands that it was given, around their exit code and the line of the one that failed.
const MARK: char = '\u{1}';

/// A command that fails ends the session, and says so.
const PROLOGUE: &str = "set -eE -o pipefail
line=0
trap 'line=$LINENO' ERR
trap 'printf \"\\001%s %s\\001\" \"$?\" \"$line\"' EXIT
trap : TERM
";

/// The last that it does: nothing that it has started is left to nobody.
const EPILOGUE: &str = "trap - ERR EXIT
set +e
while [ -n \"$(jobs -pr)\" ]; do wait; done
";

/// A shell. It ends with the value, and all that it has started.
pub(crate) struct Terminal {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Arc<Printed>,
    /// How much of that was looked at.
    taken: usize,
}

#[derive(Default)]
struct Printed {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Its line, from 1, among those that were given.
    pub(crate) line: usize,
    /// How it ended, and what was printed.
    pub(crate) how: String,
}

impl Terminal {
    /// Opens one in a folder, with these variables and no others.
    pub(crate) fn open(folder: &Path, variables: &[(String, String)]) -> Self {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let also = writer.try_clone().expect("a pipe has two ends");
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(also)
            .process_group(0)
            .spawn()
            .expect("bash runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(PROLOGUE.as_bytes()).expect("bash reads");
        let printed = Arc::new(Printed::default());
        let kept = printed.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut text = kept.text.lock().unwrap();
                text.0.extend_from_slice(&buffer[..read]);
                text.1 = read == 0;
                kept.more.notify_all();
                if text.1 {
                    return;
                }
            }
        });
        Self {
            child,
            stdin: Some(stdin),
            printed,
            taken: 0,
        }
    }

    /// Begins what is in a file.
    pub(crate) fn begin(&mut self, file: &Path) {
        let line = format!(
            ". '{}' </dev/null; printf '\\001%s 0\\001' \"$?\"\n",
            file.display()
        );
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin.write_all(line.as_bytes()).expect("bash reads");
    }

    /// Waits until that has ended; gives what it printed.
    pub(crate) fn ended(&mut self) -> Result<String, Failed> {
        let (printed, code) = self.until(|text| {
            let (printed, rest) = text.split_once(MARK)?;
            let (code, after) = rest.split_once(MARK)?;
            let length = text.len() - after.len();
            Some(((printed.to_owned(), code.to_owned()), length))
        })?;
        match code.strip_prefix("0 ") {
            Some(_) => Ok(printed),
            None => Err(failed(&code, &printed)),
        }
    }

    /// Waits until it has printed what is shown. What it prints beyond that is for the next time.
    pub(crate) fn until_it_shows(&mut self, shown: &Shown) -> Result<(), Failed> {
        self.until(|text| {
            // What has ended has no line end after its last line.
            let text = text
                .split_once(MARK)
                .map_or_else(|| text.to_owned(), |(printed, _)| format!("{printed}\n"));
            shown.begins(&text).map(|length| ((), length))
        })
    }

    /// Waits until the text that is new has what is looked for: that, and how much of the text it takes.
    fn until<T>(&mut self, find: impl Fn(&str) -> Option<(T, usize)>) -> Result<T, Failed> {
        let began = Instant::now();
        let mut printed = self.printed.text.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&printed.0[self.taken..]).into_owned();
            if let Some((found, length)) = find(&text) {
                self.taken = (self.taken + length).min(printed.0.len());
                return Ok(found);
            }
            if printed.1 || text.contains(MARK) {
                return Err(failed(text.split(MARK).nth(1).unwrap_or("0 0"), &text));
            }
            if began.elapsed() > LIMIT {
                let how = format!("it goes on, and has printed nothing but:\n{text}\n");
                return Err(Failed { line: 0, how });
            }
            let waited = self.printed.more.wait_timeout(printed, LIMIT / 10);
            printed = waited.unwrap().0;
        }
    }
}

fn failed(code: &str, printed: &str) -> Failed {
    let (code, line) = code.split_once(' ').unwrap_or((code, "0"));
    let printed = printed.trim_end().replace(MARK, "");
    Failed {
        line: line.parse().unwrap_or(0),
        how: format!("exit code {code}, after it printed:\n{printed}\n"),
    }
}

impl Terminal {
    /// Tells it, and all that it has started, to end.
    pub(crate) fn end(&mut self) {
        let Some(mut stdin) = self.stdin.take() else {
            // Services that are told twice end at once, and leave their Redis.
            return;
        };
        // It has ended itself where a command failed.
        let _ = stdin.write_all(EPILOGUE.as_bytes());
        // Services stop what they have started, Redis for instance.
        self.signal("TERM");
    }

    /// Sends a signal to all of its processes; whether there are any.
    fn signal(&self, name: &str) -> bool {
        let kill = format!("kill -s {name} -- -{} 2>/dev/null", self.child.id());
        let sent = Command::new("bash").args(["-c", &kill]).status();
        sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
        let ended = |child: &mut Child| child.try_wait().is_ok_and(|status| status.is_some());
        let _ = attempt(|| ended(&mut self.child));
        let _ = attempt(|| !self.signal("0"));
        self.signal("KILL");
        let _ = self.child.wait();
    }
}
