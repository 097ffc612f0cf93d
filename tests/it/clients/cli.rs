//! The command `ltm`, as a person runs it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
};

use ltm_tests::{Api, LIMIT, Service, Stack, binary, data, fold, same};
use serde_json::{Value, json};

pub(super) fn ltm(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary("ltm"));
    command
        .env("LTM_URL", url)
        .env_remove("LTM__REDIS__URL")
        .args(args);
    command
}

/// What it prints, where it succeeds.
pub(super) fn says(url: &str, args: &[&str]) -> String {
    let output = ltm(url, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complains about, where it fails with this exit code.
pub(super) fn complains(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A recording that ships with the project.
pub(super) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tutorial.json");

/// `ltm tail`, whose lines come one by one.
struct Tail {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Tail {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut child = ltm(url, &[&["--json", "tail"], args].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(LIMIT).unwrap()).unwrap()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both services behind one URL, as `ltm` wants them.
pub(super) struct Dev {
    service: Service,
    dir: tempfile::TempDir,
}

impl Dev {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            service: Service::dev(dir.path()),
            dir,
        }
    }

    pub(super) fn url(&self) -> String {
        self.service.http()
    }

    fn restart(&mut self, how: &str) {
        self.service.signal(how);
        self.service.wait();
        self.service = Service::dev(self.dir.path());
    }
}

#[test]
fn a_history_is_played_and_read_back() {
    let dev = Dev::start();
    let played = says(&dev.url(), &["--json", "play", SAMPLE, "--speed", "max"]);
    let id = json_lines(&played)[0]["id"].to_string();
    let document = json_lines(&says(&dev.url(), &["--json", "get", &id])).remove(0);
    let recorded: Value = serde_json::from_str(&data("tutorial.json")).unwrap();
    let recorded = &recorded["documents"].as_array().unwrap().last().unwrap()["document"];
    let snapshots = document["snapshots"].as_array().unwrap();
    assert_eq!(
        snapshots.len(),
        recorded["snapshots"].as_array().unwrap().len()
    );
    assert!(same(&fold(snapshots), &recorded["state"]));
    assert!(same(&document["state"], &recorded["state"]));
    let rows = json_lines(&says(&dev.url(), &["--json", "list"]));
    assert_eq!(rows[0]["id"].to_string(), id);
    assert!(says(&dev.url(), &["list"]).contains(document["name"].as_str().unwrap()));
}

#[test]
fn a_history_is_played_under_a_key_once() {
    let dev = Dev::start();
    let play = ["play", SAMPLE, "--speed", "max", "--limit", "2"];
    let keyed = [&play[..], &["--key", "run/1"]].concat();
    let played = json_lines(&says(&dev.url(), &[&["--json"], &keyed[..]].concat()));
    let id = &played[0]["id"];
    let again = ltm(&dev.url(), &keyed).output().unwrap();
    let said = complains(&again, 2);
    assert!(said.contains(&format!("LTM {id} ")), "{said}");
    let get = |ltm: &str| json_lines(&says(&dev.url(), &["--json", "get", ltm])).remove(0);
    let document = get(&id.to_string());
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 2);
    let class = document["fqn"].as_str().unwrap();
    assert_eq!(get(&format!("{class}/run/1")), document);
}

#[test]
fn snapshots_come_from_arguments_a_file_and_the_input() {
    let dev = Dev::start();
    let created = says(
        &dev.url(),
        &["--json", "create", "app.Agent", "--state", r#"{"n": 0}"#],
    );
    let id = json_lines(&created)[0]["id"].to_string();
    says(&dev.url(), &["append", &id, "--merge", r#"{"n": 1}"#]);
    let file = dev.dir.path().join("steps.jsonl");
    std::fs::write(
        &file,
        "{\"reason\": \"execute\", \"merge\": {\"n\": 2}}\n{\"reason\": \"transition\", \"merge\": {\"m\": 0.10}}\n",
    )
    .unwrap();
    says(&dev.url(), &["append", &id, file.to_str().unwrap()]);
    let mut piped = ltm(&dev.url(), &["append", &id, "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(br#"{"reason": "execute", "patch": [{"op": "remove", "path": "/n"}]}"#)
        .unwrap();
    assert!(piped.wait().unwrap().success());
    let text = says(&dev.url(), &["--json", "get", &id]);
    assert!(text.contains(r#""state":{"m":0.10}"#), "{text}");
    assert_eq!(
        json_lines(&text)[0]["snapshots"].as_array().unwrap().len(),
        5
    );
}

#[test]
fn a_file_of_snapshots_is_appended_in_batches_once_and_a_wrong_one_is_named() {
    let stack = Stack::with(&[("LTM__API__MAX_BATCH", "40")]);
    let (url, dir) = (stack.api_service.http(), tempfile::tempdir().unwrap());
    let created = says(&url, &["--json", "create", "app.Agent"]);
    let id = json_lines(&created)[0]["id"].to_string();
    let steps = |count: usize| -> Vec<String> {
        let step = |n| json!({"reason": "execute", "merge": {"n": n}}).to_string();
        (0..count).map(step).collect()
    };
    let file = dir.path().join("steps.jsonl");
    let append = [
        "--json",
        "append",
        &id,
        file.to_str().unwrap(),
        "--idempotency-key",
        "file",
    ];
    // The API takes smaller batches than the command sends first.
    for _ in 0..2 {
        std::fs::write(&file, steps(100).join("\n")).unwrap();
        let lines = json_lines(&says(&url, &append));
        let indices: Vec<_> = lines
            .iter()
            .map(|line| line["index"].as_u64().unwrap())
            .collect();
        assert_eq!(indices, (1..=100).collect::<Vec<_>>());
        assert_eq!(lines[0]["id"].to_string(), id);
    }
    let document = says(&url, &["--json", "get", &id]);
    assert_eq!(json_lines(&document)[0]["snapshots_count"], 101);

    let mut wrong = steps(60);
    wrong[55] =
        json!({"reason": "execute", "patch": [{"op": "remove", "path": "/gone"}]}).to_string();
    std::fs::write(&file, wrong.join("\n")).unwrap();
    let refused = ltm(&url, &["append", &id, file.to_str().unwrap()])
        .output()
        .unwrap();
    // The services reject it.
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("snapshot 55: "), "{said}");
    assert!(
        said.contains("no snapshot from 30 on was written"),
        "{said}"
    );
    let document = says(&url, &["--json", "get", &id]);
    assert_eq!(json_lines(&document)[0]["snapshots_count"], 131);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_goes_on_after_a_restart_of_the_services_without_gap_or_double() {
    let stack = Stack::start();
    let (id, _) = stack.api.create(json!({})).await;
    let id_text = id.to_string();
    let mut gateway = stack.gateway;
    // A fixed address, so that the tail finds the next gateway where the first one was.
    let address = gateway.address().to_owned();
    let tail = Tail::start(&gateway.http(), &[&id_text, "--after", "0"]);
    assert_eq!(tail.next()["snapshot"]["reason"], "start");
    for round in 0..3 {
        stack.api.append(id, json!({"merge": {"n": round}})).await;
        assert_eq!(tail.next()["snapshot"]["patch"][0]["value"], round);
        gateway.kill();
        stack.api.append(id, json!({"merge": {"m": round}})).await;
        gateway = Service::gateway(
            &stack.redis.url(),
            &[("LTM__GATEWAY__LISTEN", address.as_str())],
        );
        let missed = tail.next();
        assert_eq!(missed["snapshot"]["patch"][0]["path"], "/m");
        assert_eq!(missed["snapshot"]["patch"][0]["value"], round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart_of_dev() {
    let mut dev = Dev::start();
    let (id, _) = Api::at(&dev.service).create(json!({})).await;
    Api::at(&dev.service)
        .append(id, json!({"merge": {"kept": true}}))
        .await;
    for how in ["INT", "TERM"] {
        dev.restart(how);
        let document = Api::at(&dev.service).document(id).await;
        assert_eq!(document["state"], json!({"kept": true}));
    }
}

#[test]
fn two_devs_do_not_share_a_data_directory() {
    let dev = Dev::start();
    let second = ltm(
        "http://127.0.0.1:1",
        &["dev", "--listen", "127.0.0.1:0", "--data-dir"],
    )
    .arg(dev.dir.path())
    .output()
    .unwrap();
    assert!(complains(&second, 1).contains("in use by another `ltm dev`"));
}

#[test]
fn without_a_redis_server_dev_says_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let output = ltm("http://127.0.0.1:1", &["dev", "--data-dir"])
        .arg(dir.path())
        .env("PATH", Path::new("/nonexistent"))
        .output()
        .unwrap();
    assert!(
        complains(&output, 1)
            .contains("neither redis-server nor valkey-server is on the PATH. Install one")
    );
}

#[test]
fn without_ca_certificates_only_https_fails_and_says_why() {
    let lists = |url: &str| {
        let none = Path::new("/nonexistent");
        let mut command = ltm(url, &["list"]);
        command.env("SSL_CERT_FILE", none).env("SSL_CERT_DIR", none);
        command.output().unwrap()
    };
    assert!(complains(&lists("http://127.0.0.1:1"), 6).contains("connection refused"));
    assert!(complains(&lists("https://127.0.0.1:1"), 1).contains("No CA certificates"));
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_this_machine_and_is_named_if_it_fails() {
    let dev = Dev::start();
    let through = |url: &str, args: &[&str]| {
        let mut command = ltm(url, args);
        command.env("HTTP_PROXY", "http://user:secret@127.0.0.1:1");
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        command.output().unwrap()
    };
    assert_eq!(through(&dev.url(), &["list"]).status.code(), Some(0));
    assert_eq!(through(&dev.url(), &["tail", "7"]).status.code(), Some(3));
    for args in [&["list"][..], &["tail", "7"]] {
        let said = complains(&through("http://ltm.invalid", args), 6);
        assert!(
            said.contains("through the proxy http://127.0.0.1:1 "),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn the_errors_of_an_ltm_are_listed_with_what_failed() {
    let stack = Stack::start();
    let url = stack.api_service.http();
    says(&url, &["create", "app.Agent"]);
    assert_eq!(says(&url, &["errors", "1"]), "");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = json!({"reason": "execute", "item": {"fqn": "app.Agent.plan"},
        "retries": [{"type": "TimeoutError", "description": "no answer"}]});
    runtime
        .block_on(stack.api.post("/ltm/1/errors", &error))
        .expect(200);
    let listed = says(&url, &["errors", "1"]);
    assert!(
        listed.contains("execute") && listed.contains(" plan "),
        "{listed}"
    );
    assert!(listed.contains("TimeoutError: no answer"), "{listed}");
    assert_eq!(
        json_lines(&says(&url, &["--json", "errors", "1"]))[0]["reason"],
        "execute"
    );
    assert_eq!(
        says(&url, &["open", "1", "--print"]),
        format!("{url}/#/ltm/1\n")
    );
}

#[test]
fn a_shell_completes_the_commands_and_each_has_a_manual_page() {
    let url = "http://127.0.0.1:1";
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            says(url, &["completions", shell]).contains("rollback"),
            "{shell}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    says(url, &["man", dir.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(dir.path().join("ltm-rollback.1")).unwrap();
    assert!(page.contains("Roll an LTM back"), "{page}");
}

#[test]
fn a_running_dev_is_the_redis_that_verify_reads() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("ltm-live");
    let dev = Service::dev(&data);
    says(&dev.http(), &["create", "app.Agent"]);
    let mut verify = ltm(&dev.http(), &["verify", "--all"]);
    let output = verify.env("XDG_DATA_HOME", home.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("LTM 1: 1 entry verified"), "{said}");
    let noted = String::from_utf8(output.stderr).unwrap();
    let socket = data.join("redis.sock");
    let socket = socket.to_str().unwrap();
    assert!(
        noted.starts_with("using database 0 of redis+unix://"),
        "{noted}"
    );
    assert_eq!(noted.matches(socket).count(), 2, "{noted}");
}

#[test]
fn history_is_gone_back_in_compared_copied_and_deleted_by_hand() {
    let stack = Stack::start();
    let url = stack.api_service.http();
    let id = json_lines(&says(
        &url,
        &["--json", "create", "a.B", "--state", r#"{"n":0}"#],
    ))[0]["id"]
        .to_string();
    for n in 1..=3 {
        says(
            &url,
            &["append", &id, "--merge", &format!(r#"{{"n":{n}}}"#)],
        );
    }
    assert_eq!(
        says(&url, &["diff", &id, "1", "3"]),
        "{\"op\":\"replace\",\"path\":\"/n\",\"value\":3}\n"
    );
    assert_eq!(says(&url, &["diff", &id, "2", "2"]), "");
    let back = says(&url, &["rollback", &id, "--to", "1"]);
    assert!(
        back.starts_with(&format!("LTM {id}, 2 snapshots, cursor 5-")),
        "{back}"
    );
    assert_eq!(says(&url, &["get", &id, "--at", "1"]), "{\n  \"n\": 1\n}\n");
    let taken_out = ["--json", "get", &id, "--at", "3", "--rollback", "0"];
    assert_eq!(
        json_lines(&says(&url, &taken_out))[0]["state"],
        json!({"n": 3})
    );
    says(&url, &["rollback", &id, "--undo", "0"]);
    let copy = json_lines(&says(&url, &["--json", "copy", &id]))[0]["copy_id"].to_string();
    let copied = json_lines(&says(&url, &["--json", "get", &copy, "--rollbacks"]));
    assert_eq!(copied[0]["rollbacks"].as_array().unwrap().len(), 2);
    assert!(says(&url, &["list", "--fqn", "a.B", "--playground"]).contains(&copy));
    let asked = complains(&ltm(&url, &["delete", &copy]).output().unwrap(), 2);
    assert!(
        asked.contains("4 snapshots would be deleted permanently; add --yes"),
        "{asked}"
    );
    assert_eq!(
        says(&url, &["delete", &copy, "--yes"]),
        format!("LTM {copy} is deleted\n")
    );
    let gone = complains(&ltm(&url, &["get", &copy]).output().unwrap(), 3);
    assert!(gone.contains("was deleted"), "{gone}");
}

/// The letters with which a text could steer a terminal, besides those of colours: DEL, those of ISO 6429 beyond ASCII,
/// and those that turn the direction of writing.
const STEERING: [char; 6] = [
    '\u{7f}', '\u{9b}', '\u{9d}', '\u{9c}', '\u{202e}', '\u{2066}',
];

/// What a command prints on a terminal.
fn on_terminal(url: &str, args: &[&str]) -> String {
    let pseudo_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let mut command = Command::new("python3");
    command
        .args(["-c", pseudo_terminal])
        .arg(binary("ltm"))
        .args(args);
    let output = command.env("LTM_URL", url).stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_shown_on_a_terminal_can_steer_it() {
    let stack = Stack::start();
    let evil: String = STEERING.iter().collect();
    let evil = format!("{evil}0;title");
    let body = json!({"fqn": format!("app.{evil}"), "name": evil, "state": {&evil: &evil}});
    let id = stack.api.post("/ltm", &body).await.expect(200)["id"].to_string();
    let step = json!({"reason": evil, "merge": {"more": evil}});
    let path = format!("/ltm/{id}/snapshots");
    stack.api.post(&path, &step).await.expect(201);
    let url = stack.api_service.http();
    let merge = json!({"most": evil}).to_string();
    for args in [
        &["list"][..],
        &["get", &id],
        &["get", &id, "--at", "0"],
        &["diff", &id, "0", "1"],
        &["append", &id, "--merge", &merge],
    ] {
        for form in [&[][..], &["--json"]] {
            let args = [form, args].concat();
            let shown = on_terminal(&url, &args);
            let found: Vec<_> = STEERING.iter().filter(|it| shown.contains(**it)).collect();
            assert!(found.is_empty(), "{args:?}: {found:?}");
        }
    }
    // The escaped JSON has the same value; a program gets it as it is.
    let read = |text: &str| serde_json::from_str::<Value>(text.trim()).unwrap();
    let args = ["--json", "get", &id];
    let piped = says(&url, &args);
    assert!(piped.contains(&evil), "{piped}");
    assert_eq!(read(&on_terminal(&url, &args)), read(&piped));
}

#[test]
fn what_ltm_dev_stores_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("open");
    let aof = data.join("appendonlydir");
    std::fs::create_dir_all(&aof).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in [&data, &aof] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let dev = Service::dev(&data);
    assert!(dev.address().starts_with("127.0.0.1:"));
    let mut folders = vec![data.clone()];
    let mut seen = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(
                mode(&path) & 0o077,
                0,
                "{}: {:o}",
                path.display(),
                mode(&path)
            );
            if path.is_dir() {
                folders.push(path.clone());
            }
            seen.push(path);
        }
    }
    let is_log = |path: &&std::path::PathBuf| path.to_string_lossy().contains(".aof");
    assert!(seen.iter().any(|path| is_log(&path)), "{seen:?}");
    assert_eq!(mode(&data), 0o755, "its owner opened it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_says_by_its_exit_code_whether_the_status_came() {
    let stack = Stack::start();
    let url = stack.api_service.http();
    let (id, _) = stack.api.create(json!({"_status": "active"})).await;
    let id_text = id.to_string();
    let wait = |more: &[&str]| ltm(&url, &[&["wait", &id_text], more].concat());
    let late = wait(&["--status", "finished", "--timeout", "10ms"]).output();
    let said = complains(&late.unwrap(), 124);
    assert!(said.contains("is not finished yet: it is active"), "{said}");
    let mut waits = wait(&["--status", "error,finished"]);
    let waits = waits.stdout(Stdio::piped()).spawn().unwrap();
    stack
        .api
        .append(id, json!({"merge": {"_status": "finished"}}))
        .await;
    let output = waits.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "finished\n");
    let row = says(&url, &["--json", "wait", &id_text, "--status", "finished"]);
    assert_eq!(json_lines(&row)[0]["snapshots_count"], 2);
    let unknown = ltm(&url, &["wait", "999", "--status", "finished"]).output();
    assert!(complains(&unknown.unwrap(), 3).contains("unknown-ltm"));
}
