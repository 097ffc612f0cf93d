//! What a page of documentation has its reader do, in its order. CONTRIBUTING.md says how a page is written so.

use std::path::Path;

use super::transcript;

/// What a block begins with that is run in a terminal of its own, since it goes on.
const OWN_TERMINAL: &str = "# in a terminal of its own\n";

/// What a block begins with that the latest such terminal shows.
const THAT_TERMINAL: &str = "# in that terminal\n";

/// A page, read.
pub(crate) struct Page {
    /// Its path in the repository.
    pub(crate) path: String,
    /// What its reader does and sees.
    pub(crate) steps: Vec<Step>,
}

/// What its reader does or sees, and in which line of the page that stands.
pub(crate) struct Step {
    /// The line of its fence.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) action: Action,
}

/// What its reader does or sees.
pub(crate) enum Action {
    /// Runs commands, which end; they print this.
    Run { commands: String, shown: Shown },
    /// Runs commands in a terminal of its own, and waits until that shows this.
    Leave { commands: String, shown: Shown },
    /// Sees this in the latest terminal of its own.
    See { shown: Shown },
    /// Writes a file.
    Save { name: String, text: String },
}

/// What is printed, as the page shows it.
#[derive(Default)]
pub(crate) struct Shown {
    /// With `…` for what differs from run to run.
    pub(crate) text: String,
    /// Whether it is JSON, which may be laid out in another way.
    pub(crate) json: bool,
}

/// What stands between two fences.
struct Block {
    line: usize,
    end: usize,
    language: String,
    text: String,
}

impl Page {
    /// Reads a page of the repository; each of `ports` is put in the place of another one.
    pub(crate) fn read(path: &str, ports: &[(u16, u16)]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join(path)).expect("the page is there");
        Self::parse(path, &with_ports(&text, ports)).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// Reads a text; says where it is not as CONTRIBUTING.md says.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, String> {
        let blocks =
            blocks(text).map_err(|line| at(path, line, "the fence has no end, or is indented"))?;
        check_files(path, &blocks)?;
        let mut steps = Vec::new();
        let mut blocks = blocks.into_iter().peekable();
        while let Some(block) = blocks.next() {
            let line = block.line;
            let action = match block.language.as_str() {
                "sh" => {
                    let output = blocks.next_if(|next| is_output_of(next, &block));
                    run(&block, output).map_err(|wrong| at(path, line, wrong))?
                }
                "console" => {
                    transcript::check(&block.text).map_err(|wrong| at(path, line, &wrong))?;
                    continue;
                }
                "text" | "json" => match block.text.strip_prefix(THAT_TERMINAL) {
                    Some(text) => Action::See {
                        shown: shown(&block, text),
                    },
                    None => continue,
                },
                "mermaid" => continue,
                _ => match file_name(&block.text) {
                    Some(name) => Action::Save {
                        name,
                        text: block.text,
                    },
                    None => continue,
                },
            };
            steps.push(Step { line, action });
        }
        Ok(Self {
            path: path.into(),
            steps,
        })
    }
}

/// Each block is something to run, to see or to save, or a part of a configuration; and what is saved is used by a
/// command that comes after it.
fn check_files(path: &str, blocks: &[Block]) -> Result<(), String> {
    for (number, block) in blocks.iter().enumerate() {
        let language = block.language.as_str();
        let wrong = |wrong: &str| Err(at(path, block.line, wrong));
        if ["sh", "console", "text", "json", "mermaid"].contains(&language) {
            continue;
        }
        match file_name(&block.text) {
            Some(name) => {
                let commands =
                    |block: &&Block| ["sh", "console"].contains(&block.language.as_str());
                let mut after = blocks[number..].iter().filter(commands);
                if !after.any(|block| block.text.contains(&name)) {
                    return wrong(&format!("no command after it uses {name}"));
                }
            }
            None if ["yaml", "toml"].contains(&language) => {}
            None if language.is_empty() => return wrong("the fence names no language"),
            None => {
                return wrong(
                    "its first line is no comment with the name of a file: nobody runs it",
                );
            }
        }
    }
    Ok(())
}

/// A place in a page, and what is wrong there.
pub(crate) fn at(path: &str, line: usize, wrong: &str) -> String {
    format!("{path}:{line}: {wrong}")
}

/// The text with other ports: numbers that stand alone.
fn with_ports(text: &str, ports: &[(u16, u16)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |length| start + length);
        let before = rest[..start].chars().next_back();
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || ".,".contains(c));
        let alone = !joined(before) && !rest[end..].starts_with(char::is_alphabetic);
        let number = &rest[start..end];
        let other = ports
            .iter()
            .find(|(written, _)| alone && written.to_string() == number);
        out.push_str(&rest[..start]);
        match other {
            Some((_, port)) => out.push_str(&port.to_string()),
            None => out.push_str(number),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// What stands between fences; an error is the line of a fence that is wrong.
fn blocks(text: &str) -> Result<Vec<Block>, usize> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block {
                    line: number,
                    end: number,
                    language: language.into(),
                    text: String::new(),
                });
            }
            (Some(_), Some("")) => {
                let block = open.take().into_iter();
                blocks.extend(block.map(|block| Block {
                    end: number,
                    ..block
                }));
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => return Err(number),
            (None, None) if line.trim_start().starts_with("```") => return Err(number),
            (None, None) => {}
        }
    }
    open.map_or(Ok(blocks), |block| Err(block.line))
}

/// Whether it stands right after the commands, with at most an empty line between.
fn is_output_of(block: &Block, commands: &Block) -> bool {
    ["text", "json"].contains(&block.language.as_str())
        && block.line <= commands.end + 2
        && !block.text.starts_with(THAT_TERMINAL)
}

fn shown(block: &Block, text: &str) -> Shown {
    Shown {
        text: text.into(),
        json: block.language == "json",
    }
}

fn run(block: &Block, output: Option<Block>) -> Result<Action, &'static str> {
    let beside: Vec<&str> = block
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# → "))
        .collect();
    let shown = match output {
        Some(_) if !beside.is_empty() => return Err("it shows twice what it prints"),
        Some(output) => shown(&output, &output.text),
        None => Shown {
            text: beside.join("\n"),
            json: false,
        },
    };
    // The line with the mark stays, as a comment: lines are counted.
    let commands = block.text.clone();
    if commands.starts_with(OWN_TERMINAL) && shown.text.is_empty() {
        return Err("what goes on has to show something, so that it can be waited for");
    }
    Ok(if commands.starts_with(OWN_TERMINAL) {
        Action::Leave { commands, shown }
    } else {
        Action::Run { commands, shown }
    })
}

/// A file's name, where its first line is a comment with nothing but that.
fn file_name(text: &str) -> Option<String> {
    let first = text.lines().next()?;
    let comment = ["# ", "// ", "<!-- "]
        .into_iter()
        .find_map(|mark| first.strip_prefix(mark))?;
    let name = comment.strip_suffix(" -->").unwrap_or(comment);
    let is_name = name.contains('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    is_name.then(|| name.into())
}
