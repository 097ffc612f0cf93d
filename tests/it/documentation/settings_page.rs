//! `docs/settings.md` is generated from the doc comments of the settings structs. This test compares the page with them;
//! with `UPDATE_DOCS=1` it writes the page.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fmt::Write, path::PathBuf};

use toml::Table;

/// Every section: its name, the services that read it, and the struct and file that describe it.
const SECTIONS: [(&str, &str, &str, &str); 10] = [
    (
        "redis",
        "API and gateway",
        "RedisSettings",
        "ltm-store/src/redis/settings.rs",
    ),
    ("api", "API", "ApiSettings", "ltm-api/src/settings.rs"),
    (
        "gateway",
        "gateway",
        "GatewaySettings",
        "ltm-gateway/src/settings.rs",
    ),
    (
        "agui",
        "`ltm agui` and `ltm dev`",
        "AguiSettings",
        "ltm-agui/src/proxy/settings.rs",
    ),
    (
        "retention",
        "API",
        "Retention",
        "ltm-state/src/retention.rs",
    ),
    (
        "http",
        "API and gateway",
        "HttpSettings",
        "ltm-service/src/http/settings.rs",
    ),
    (
        "auth",
        "API and gateway",
        "AuthSettings",
        "ltm-auth/src/settings.rs",
    ),
    (
        "cors",
        "API and gateway",
        "CorsSettings",
        "ltm-service/src/http/browser/cors.rs",
    ),
    (
        "log",
        "API and gateway",
        "LogSettings",
        "ltm-service/src/process/log.rs",
    ),
    (
        "tracing",
        "API and gateway",
        "TracingSettings",
        "ltm-service/src/telemetry/settings.rs",
    ),
];

const INTRODUCTION: &str = "\
<!-- Generated from the doc comments of the settings structs: `UPDATE_DOCS=1 cargo test --workspace --test it settings_page`. -->

# Settings

Every setting of the API and the gateway. All have defaults; most deployments set `redis.url`, `auth.mode` and the two
`listen` addresses.

The value of a setting comes from the first of these that sets it:

1. an environment variable, such as `LTM__REDIS__URL`;
2. the TOML file that `--config <file>` names;
3. the default.

```toml
[redis]
url = \"redis://redis.internal:6379/0\"

[gateway]
listen = \"0.0.0.0:8000\"
max_subscribers = 20000
```

One file can hold the settings of both services; each reads its own sections. An unknown setting or a wrong value stops
the start, with a message that names the setting. `ltm-api --print-config` and `ltm-gateway --print-config` print the
values in use, without passwords. `ltm dev`, `ltm doctor` and `ltm verify` read the same file and variables. `ltm dev`
ignores the two `listen` addresses and has shorter drain times.

| type | how to write it |
| --- | --- |
| duration | `500ms`, `30s`, `5m`, `1h 30m` |
| size | `8 KiB`, `64 MiB`, `1 GiB` |
| list | an array of texts in TOML; in a variable, a text with commas between the items |
| path | a file that the service can read; empty: not set |

Beyond a limit a client gets 503 or 429 before a WebSocket is open, and close code 1013 after that.
[limits.md](limits.md) lists all limits, with the test that reaches each. Durations can be at most ten years.
";

/// A setting as its struct describes it.
struct Setting {
    name: String,
    /// The type in Rust.
    kind: String,
    text: Vec<String>,
}

/// A value that a setting can have.
struct Choice {
    name: String,
    text: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a doc comment line.
fn doc(line: &str) -> Option<String> {
    let text = line.trim_start().strip_prefix("///")?;
    Some(text.strip_prefix(' ').unwrap_or(text).to_owned())
}

/// The doc comment above the line that starts with `item`, and the lines of its body.
fn item<'a>(source: &'a str, item: &str) -> Option<(Vec<String>, Vec<&'a str>)> {
    let lines: Vec<&str> = source.lines().collect();
    let at = lines.iter().position(|line| line.starts_with(item))?;
    let above = lines[..at].iter().rev();
    let above = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut docs: Vec<String> = above.filter_map(|line| doc(line)).collect();
    docs.reverse();
    let body = lines[at + 1..].iter().take_while(|line| **line != "}");
    Some((docs, body.copied().collect()))
}

/// The settings of a struct, in its order.
fn settings(body: &[&str]) -> Vec<Setting> {
    let (mut settings, mut text) = (Vec::new(), Vec::new());
    for line in body {
        if let Some(line) = doc(line) {
            text.push(line);
        } else if let Some(field) = line.trim().strip_prefix("pub ") {
            let (name, kind) = field.split_once(": ").unwrap();
            settings.push(Setting {
                name: name.into(),
                kind: kind.trim_end_matches(',').into(),
                text: std::mem::take(&mut text),
            });
        }
    }
    settings
}

/// The values of an enum whose names in a file are in lower case, or given by `rename`.
fn choices(source: &str, name: &str) -> Option<Vec<Choice>> {
    let (_, body) = item(source, &format!("pub enum {name} {{"))?;
    let lower = source
        .split(&format!("pub enum {name} {{"))
        .next()
        .and_then(|before| before.rsplit("///").next())
        .is_some_and(|attributes| attributes.contains("rename_all = \"lowercase\""));
    let (mut choices, mut text, mut renamed) = (Vec::new(), Vec::new(), None);
    for line in body {
        let line = line.trim();
        if let Some(line) = doc(line) {
            text.push(line);
        } else if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if let Some(variant) = line.strip_suffix(',') {
            let name = if lower {
                variant.to_lowercase()
            } else {
                variant.to_owned()
            };
            choices.push(Choice {
                name: renamed.take().unwrap_or(name),
                text: std::mem::take(&mut text),
            });
        }
    }
    Some(choices)
}

/// What a type is called on the page.
fn called(kind: &str) -> &'static str {
    match kind {
        "String" => "text",
        "PathBuf" => "path",
        "Duration" => "duration",
        "ByteSize" => "size",
        "bool" => "`true` or `false`",
        "usize" | "u32" | "u64" | "NonZeroUsize" => "whole number",
        "f64" => "number",
        "Vec<String>" | "TrustedProxies" | "Origins" => "list",
        _ => "one of these",
    }
}

/// A default as a file spells it. `None` is a setting that is not set.
fn shown(value: Option<&toml::Value>) -> String {
    let text = match value {
        None => return "not set".into(),
        Some(toml::Value::String(text)) => text.clone(),
        Some(toml::Value::Array(items)) => {
            let items = items.iter().map(|item| item.as_str().unwrap());
            items.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    };
    match text.as_str() {
        "" => "empty".into(),
        text => format!("`{text}`"),
    }
}

fn page() -> String {
    let defaults = [
        Table::try_from(ltm_api::Settings::default()).unwrap(),
        Table::try_from(ltm_gateway::Settings::default()).unwrap(),
        Table::try_from(ltm_agui::Settings::default()).unwrap(),
    ];
    let mut page = String::from(INTRODUCTION);
    for (section, services, name, file) in SECTIONS {
        let source = std::fs::read_to_string(root().join("crates").join(file)).unwrap();
        let (text, body) = item(&source, &format!("pub struct {name} {{")).unwrap();
        let values = defaults.iter().find_map(|all| all.get(section)?.as_table());
        let values = values.unwrap();
        let settings = settings(&body);
        let documented: BTreeSet<&str> = settings.iter().map(|it| it.name.as_str()).collect();
        let missing: Vec<&String> = values
            .keys()
            .filter(|key| !documented.contains(key.as_str()))
            .collect();
        assert!(missing.is_empty(), "{name} has no text for {missing:?}");
        writeln!(page, "\n## {section}\n\n{}", text.join("\n")).unwrap();
        writeln!(page, "\nRead by: {services}.").unwrap();
        for Setting { name, kind, text } in settings {
            let optional = kind.strip_prefix("Option<");
            let kind = optional.map_or(kind.as_str(), |kind| kind.trim_end_matches('>'));
            let value = values.get(&name);
            assert!(
                value.is_some() || optional.is_some(),
                "{section}.{name} has no default"
            );
            assert!(
                text.iter().any(String::is_empty),
                "{section}.{name} does not say when to change it"
            );
            let (called, default) = (called(kind), shown(value));
            let variable = format!("LTM__{section}__{name}").to_uppercase();
            writeln!(page, "\n### {section}.{name}\n").unwrap();
            writeln!(page, "`{variable}` · {called} · default: {default}\n").unwrap();
            writeln!(page, "{}", text.join("\n")).unwrap();
            for (number, choice) in choices(&source, kind).into_iter().flatten().enumerate() {
                let before = if number == 0 { "\n" } else { "" };
                writeln!(
                    page,
                    "{before}- `{}`: {}",
                    choice.name,
                    choice.text.join(" ")
                )
                .unwrap();
            }
        }
    }
    page
}

#[test]
fn the_settings_page_is_what_the_settings_say() {
    let path = root().join("docs/settings.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, page).unwrap();
        return;
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page,
        "docs/settings.md is not up to date: run UPDATE_DOCS=1 cargo test --workspace --test it settings_page"
    );
    assert!(page.lines().all(|line| line.chars().count() <= 200));
}
