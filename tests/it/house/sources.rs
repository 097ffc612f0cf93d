//! What the sources of a crate import from each other, read from their text.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::tokens::{Token, tokens};

/// A library or program: the files below one `src`, and what each imports.
pub(crate) struct Crate {
    /// The name of its package.
    pub(crate) name: String,
    modules: Vec<Module>,
}

/// A module: a file, or a block in one.
#[derive(Default)]
struct Module {
    /// Below `src`.
    file: String,
    parent: usize,
    children: HashMap<String, usize>,
    /// What it defines.
    items: HashSet<String>,
    /// What it calls by another name, or by a name that is defined elsewhere: each `use`.
    aliases: HashMap<String, Vec<String>>,
    /// The modules all of whose names it takes: `use …::*`.
    globs: Vec<Vec<String>>,
    /// The paths that its code needs. What it only re-exports is not among them.
    needs: Vec<Vec<String>>,
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

/// The crates of the workspace, and the harness of these tests.
pub(crate) fn crates() -> Vec<Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = std::fs::read_dir(root.join("crates")).unwrap();
    let packages = packages.map(|package| package.unwrap().path());
    let mut packages: Vec<PathBuf> = packages.chain([root.join("tests")]).collect();
    packages.sort();
    let roots = packages.iter().flat_map(|package| {
        let files = ["lib.rs", "main.rs"].map(|file| package.join("src").join(file));
        files.into_iter().filter(|file| file.exists())
    });
    roots.map(|root| Crate::read(&root)).collect()
}

impl Crate {
    fn read(root: &Path) -> Self {
        let source = root.parent().unwrap();
        let package = source.parent().unwrap().file_name().unwrap();
        let mut krate = Self {
            name: package.to_str().unwrap().into(),
            modules: Vec::new(),
        };
        krate.add_file(root, source, source, 0);
        krate
    }

    /// Adds a file with all its modules; `folder` is where those lie.
    fn add_file(&mut self, file: &Path, folder: &Path, source: &Path, parent: usize) -> usize {
        let text = std::fs::read_to_string(file).unwrap();
        let shown = file.strip_prefix(source).unwrap().display().to_string();
        let mut all = tokens(&text).into_iter().peekable();
        self.add_module(&mut all, &shown, folder, source, parent)
    }

    /// Adds the module that these tokens are the body of, up to its closing brace or the end of the file.
    fn add_module(
        &mut self,
        tokens: &mut Tokens,
        file: &str,
        folder: &Path,
        source: &Path,
        parent: usize,
    ) -> usize {
        let number = self.modules.len();
        self.modules.push(Module {
            file: file.into(),
            parent,
            ..Module::default()
        });
        let mut depth = 0;
        let (mut for_tests, mut exported) = (false, false);
        while let Some(token) = tokens.next() {
            match token {
                Token::Attribute(text) => {
                    for_tests |= text == "cfg(test)";
                    continue;
                }
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return number,
                Token::Mark('}') => depth -= 1,
                Token::Mark(_) => {}
                Token::Path(path) => match path[0].as_str() {
                    "pub" => {
                        exported = true;
                        if tokens.next_if_eq(&Token::Mark('(')).is_some() {
                            while tokens.next().is_some_and(|token| token != Token::Mark(')')) {}
                        }
                        continue;
                    }
                    _ if for_tests => skip_test_code(tokens, is_item(&path[0])),
                    "use" => {
                        let mut tree = Vec::new();
                        read_use(tokens, &[], &mut tree);
                        self.modules[number].add_uses(tree, exported);
                    }
                    "mod" => self.add_child(tokens, file, folder, source, number),
                    "impl" => {}
                    word if is_item(word) => {
                        if let Some(Token::Path(name)) = tokens.peek() {
                            self.modules[number].items.insert(name[0].clone());
                        }
                    }
                    // One name alone is a variable, or was brought by a `use`.
                    _ if path.len() > 1 => self.modules[number].needs.push(path),
                    _ => {}
                },
            }
            (for_tests, exported) = (false, false);
        }
        number
    }

    fn add_child(
        &mut self,
        tokens: &mut Tokens,
        file: &str,
        folder: &Path,
        source: &Path,
        parent: usize,
    ) {
        let Some(Token::Path(name)) = tokens.next() else {
            return;
        };
        let name = name[0].clone();
        let inner = folder.join(&name);
        let child = if tokens.next() == Some(Token::Mark('{')) {
            self.add_module(tokens, file, &inner, source, parent)
        } else {
            let beside = folder.join(format!("{name}.rs"));
            let file = if beside.exists() {
                beside
            } else {
                inner.join("mod.rs")
            };
            self.add_file(&file, &inner, source, parent)
        };
        self.modules[parent].children.insert(name, child);
    }

    /// Each import of a file from another one.
    pub(crate) fn imports(&self) -> BTreeSet<(&str, &str)> {
        let mut imports = BTreeSet::new();
        for (number, module) in self.modules.iter().enumerate() {
            for path in &module.needs {
                if let Some(target) = self.resolve(number, path, 0) {
                    let target = &self.modules[target].file;
                    if *target != module.file {
                        imports.insert((module.file.as_str(), target.as_str()));
                    }
                }
            }
        }
        imports
    }

    /// The module that defines what a path in a module means; none if that is another crate.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let mut at = match path[0].as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent,
            name => {
                let first = self.step(from, name, depth)?;
                (first != from).then_some(first)?
            }
        };
        for name in &path[1..] {
            if name == "super" {
                at = self.modules[at].parent;
                continue;
            }
            match self.step(at, name, depth) {
                Some(next) if next != at => at = next,
                // It is defined here; what comes after it is a part of it.
                _ => break,
            }
        }
        Some(at)
    }

    /// Where one name leads from a module: to a child, to where a `use` leads, or to itself.
    fn step(&self, at: usize, name: &str, depth: usize) -> Option<usize> {
        let module = &self.modules[at];
        if let Some(child) = module.children.get(name) {
            return Some(*child);
        }
        if module.items.contains(name) {
            return Some(at);
        }
        // A `use` of a name by the same name leads on; one that leads in a circle is of another crate.
        if depth > 8 {
            return None;
        }
        if let Some(path) = module.aliases.get(name) {
            return self.resolve(at, path, depth + 1);
        }
        module.globs.iter().find_map(|glob| {
            let inside = self.resolve(at, glob, depth + 1)?;
            let step = self.step(inside, name, depth + 1)?;
            (step != inside || self.modules[inside].items.contains(name)).then_some(step)
        })
    }
}

impl Module {
    fn add_uses(&mut self, tree: Vec<(Vec<String>, String)>, exported: bool) {
        for (path, name) in tree {
            if name == "*" {
                self.globs.push(path.clone());
            } else if path.len() > 1 || path[0] != name {
                self.aliases.insert(name, path.clone());
            }
            if !exported {
                self.needs.push(path);
            }
        }
    }
}

fn is_item(word: &str) -> bool {
    [
        "fn",
        "struct",
        "enum",
        "trait",
        "type",
        "const",
        "static",
        "union",
        "mod",
        "use",
        "impl",
        "macro_rules",
    ]
    .contains(&word)
}

/// Passes over an item, a statement or a field that only tests have.
fn skip_test_code(tokens: &mut Tokens, is_item: bool) {
    let mut depth = 0;
    while let Some(token) = tokens.peek() {
        match token {
            Token::Mark(';') if depth == 0 => break,
            Token::Mark(',') if depth == 0 && !is_item => break,
            Token::Mark('{' | '(' | '[') => depth += 1,
            // The end of what it is in.
            Token::Mark('}' | ')' | ']') if depth == 0 => return,
            Token::Mark('}') if depth == 1 => break,
            Token::Mark('}' | ')' | ']') => depth -= 1,
            _ => {}
        }
        tokens.next();
    }
    tokens.next();
}

/// Reads the tree of a `use` up to what ends it; each leaf is a path and the name that it gets.
fn read_use(tokens: &mut Tokens, before: &[String], tree: &mut Vec<(Vec<String>, String)>) {
    let mut path = before.to_vec();
    let mut leaf = false;
    while let Some(token) = tokens.next() {
        match token {
            Token::Path(more) if more[0] == "as" => {
                if let Some(Token::Path(name)) = tokens.next() {
                    tree.push((path.clone(), name[0].clone()));
                    leaf = false;
                }
            }
            Token::Path(more) => {
                path.extend(more);
                leaf = true;
            }
            Token::Mark('*') => {
                tree.push((path.clone(), "*".into()));
                leaf = false;
            }
            Token::Mark('{') => {
                leaf = false;
                read_use(tokens, &path, tree);
            }
            Token::Mark(mark @ (',' | '}' | ';')) => {
                if leaf {
                    if path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let name = path.last().cloned().unwrap_or_default();
                    tree.push((std::mem::take(&mut path), name));
                }
                if mark != ',' {
                    return;
                }
                path = before.to_vec();
                leaf = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("some-crate/src");
        for (name, text) in files {
            let file = source.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let krate = Crate::read(&source.join("lib.rs"));
        let imports = krate.imports();
        let owned = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
        imports.into_iter().map(owned).collect()
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.into(), to.into())
    }

    #[test]
    fn imports_paths_in_code_and_re_exports_lead_to_the_file_that_defines_the_name() {
        let found = read(&[
            (
                "lib.rs",
                "mod a; mod b; mod c; pub use b::Bee; pub(crate) use c::inner::*;",
            ),
            (
                "a.rs",
                "use crate::{Bee, c::{self, Sea as _}};\nuse std::fmt; pub struct Ay; // crate::b::Bee",
            ),
            (
                "b.rs",
                "pub struct Bee; fn f() { crate::Deep::new(\"crate::a::Ay\"); }",
            ),
            (
                "c/mod.rs",
                "pub mod inner; pub struct Sea; fn g() { inner::h() }",
            ),
            (
                "c/inner.rs",
                "pub struct Deep; pub fn h() {} fn i(_: super::Sea) {}",
            ),
        ]);
        let expected = [
            pair("a.rs", "b.rs"),
            pair("a.rs", "c/mod.rs"),
            pair("b.rs", "c/inner.rs"),
            pair("c/inner.rs", "c/mod.rs"),
            pair("c/mod.rs", "c/inner.rs"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn tests_and_what_is_only_re_exported_count_for_nothing() {
        let found = read(&[
            ("lib.rs", "mod a; mod b; pub use a::Ay;"),
            (
                "a.rs",
                "pub struct Ay; #[cfg(test)] mod tests { use crate::b::Bee; use super::*; }",
            ),
            ("b.rs", "use super::Ay; pub struct Bee(Ay);"),
        ]);
        assert_eq!(found, [pair("b.rs", "a.rs")]);
    }
}
