//! Whether a page shows what was printed.

use super::page::Shown;

/// What stands for any text within a line, or alone for any lines.
const ANYTHING: char = '…';

impl Shown {
    /// Whether it is what was printed, from beginning to end.
    pub(crate) fn is(&self, printed: &str) -> bool {
        if self.json {
            return fits(&close(&self.text), &close(printed));
        }
        lines_fit(&lines(&self.text), &lines(printed))
    }

    /// How many bytes of what was printed it is: whole lines, as few as may be.
    pub(crate) fn begins(&self, printed: &str) -> Option<usize> {
        let ends = printed.match_indices('\n').map(|(at, _)| at + 1);
        std::iter::once(0)
            .chain(ends)
            .find(|end| self.is(&printed[..*end]))
    }
}

/// JSON without the white space between its parts (and within its texts, which does no harm here).
fn close(json: &str) -> String {
    json.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Its lines, with one space between words: a table is as wide as what is in it.
fn lines(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(words).collect()
}

fn lines_fit(pattern: &[String], lines: &[String]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return lines.is_empty();
    };
    if first == "…" {
        return (0..=lines.len()).any(|skipped| lines_fit(rest, &lines[skipped..]));
    }
    lines
        .split_first()
        .is_some_and(|(line, others)| fits(first, line) && lines_fit(rest, others))
}

/// Whether the parts between `…` are in the line, in their order, from its beginning to its end.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once(ANYTHING) else {
        return pattern == line;
    };
    let Some(mut line) = line.strip_prefix(begin) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split(ANYTHING).collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match line.find(part) {
            Some(at) => line = &line[at + part.len()..],
            None => return false,
        }
    }
    line.ends_with(end)
}
