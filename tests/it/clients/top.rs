//! `ltm top`, and what fills a terminal.

use std::process::{Command, Output};

use ltm_tests::{Service, Stack, Subscriber, binary};
use serde_json::{Value, json};

fn top(stack: &Stack, args: &[&str]) -> Output {
    let mut command = Command::new(binary("ltm"));
    command.env("LTM_URL", stack.api_service.http());
    command.args(args).args(["--interval", "100ms"]);
    command.output().unwrap()
}

fn metrics(service: &Service) -> [String; 2] {
    ["--metrics".into(), service.http()]
}

async fn create(stack: &Stack, fqn: &str, status: &str) -> u64 {
    let body = json!({"fqn": fqn, "state": {"_status": status}});
    let created = stack.api.post("/ltm", &body).await.expect(200);
    created["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_services_do_is_printed_once_if_the_output_is_no_terminal() {
    let stack = Stack::start();
    let id = create(&stack, "app.Agent", "active").await;
    create(&stack, "app.Other", "error").await;
    let url = stack.gateway.ws(&format!("/ws/{id}?after=0"));
    let mut subscriber = Subscriber::connect(&url).await.unwrap();
    subscriber.message().await;

    let services = [metrics(&stack.api_service), metrics(&stack.gateway)].concat();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let output = top(&stack, &[&["--json", "top"], &*services].concat());
    assert!(output.status.success(), "{output:?}");
    let look: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = json!({"total": 2, "status": {"active": 1, "error": 1}, "fqn": {"app.Agent": 1, "app.Other": 1}});
    assert_eq!(look["ltms"], counts);
    let [api, gateway] = [&look["services"][0], &look["services"][1]];
    assert_eq!(api["url"], stack.api_service.http());
    // The looks of `ltm top` itself.
    assert!(api["requests_per_second"].as_f64().unwrap() > 0.0, "{api}");
    assert_eq!(api["entries_per_second"], 0.0);
    assert_eq!(api["subscribers"], Value::Null);
    assert_eq!(gateway["subscribers"], 1);
    assert_eq!(gateway["slow_subscribers"], 0);

    let output = top(&stack, &["top"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("playground") && text.contains("app.Other"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    // A proxy does not forward the metrics.
    let output = top(&stack, &["top", "--metrics", "http://127.0.0.1:1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("name each API and gateway with --metrics"),
        "{text}"
    );
}

/// Runs a command on a terminal, presses Ctrl-C once it shows `until`, and prints what the terminal got and the exit code.
const ON_TERMINAL: &str = "
import fcntl, os, pty, select, struct, sys, termios
def size(terminal):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, int(os.environ['WIDTH']), 0, 0))
child, terminal = pty.fork()
if child == 0:
    size(1)
    os.execv(sys.argv[2], sys.argv[2:])
seen, pressed = b'', False
while True:
    if not select.select([terminal], [], [], 60)[0]:
        os.kill(child, 9)
        break
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if not pressed and sys.argv[1].encode() in seen:
        pressed = True
        os.write(terminal, b'\\x03')
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.write(seen.decode())
sys.exit(code)
";

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_gives_the_terminal_back_with_the_last_table() {
    let stack = Stack::start();
    create(&stack, "app.Agent", "active").await;
    for args in [&["top"][..], &["list", "--watch"]] {
        let mut command = Command::new("python3");
        command.args(["-c", ON_TERMINAL, "app.Agent"]);
        command.arg(binary("ltm")).args(args);
        command.env("WIDTH", "120");
        let output = command.env("LTM_URL", stack.api_service.http()).output();
        let output = output.unwrap();
        let shown = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        let (before, after) = shown.split_once("\u{1b}[?25h\u{1b}[?1049l").unwrap();
        assert!(before.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{shown:?}");
        assert!(!before.contains("\u{1b}[2J"), "a cleared screen flickers");
        assert!(after.contains("app.Agent"), "{after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_table_is_one_line_of_a_narrow_terminal() {
    let stack = Stack::start();
    let name = "an agent with a name of many words";
    let body = json!({"fqn": "app.agents.Researcher", "name": name, "key": "thread/3f2c9a1b",
        "state": {"_status": "finished", "answer": "x".repeat(200)}});
    stack.api.post("/ltm", &body).await.expect(200);
    let url = stack.api_service.http();
    let shown = |args: &[&str]| {
        let mut command = Command::new("python3");
        command.args(["-c", ON_TERMINAL, "app.agents.Researcher "]);
        command.arg(binary("ltm")).args(args);
        command.env("WIDTH", "80").env("NO_COLOR", "1");
        let output = command.env("LTM_URL", &url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = shown(&["list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    for whole in ["finished", "snapshots", "updated"] {
        assert!(list.contains(whole), "{list}");
    }
    assert!(list.contains('…'), "{list}");
    let get = shown(&["get", "1"]);
    let row = get.lines().last().unwrap();
    assert!(row.starts_with(" 0 ") && row.ends_with('…'), "{get}");
    let top = shown(&["top", "--interval", "100ms"]);
    let (_, last) = top.split_once("\u{1b}[?1049l").unwrap();
    for line in list.lines().chain(get.lines()).chain(last.lines()) {
        // The state is shown whole.
        if !line.contains("\"answer\": ") {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    assert!(last.contains(stack.api_service.address()), "{last}");
    // A program gets everything.
    let mut piped = Command::new(binary("ltm"));
    let piped = piped.args(["--url", &url, "list"]).output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains(name));
}
