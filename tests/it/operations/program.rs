//! `ltm-api` and `ltm-gateway`, as an operator starts them.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use ltm_tests::{RedisServer, Service, binary, signal, until_blocking};

const PROGRAMS: [&str; 2] = ["ltm-api", "ltm-gateway"];

fn run(program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    Command::new(binary(program))
        .args(arguments)
        .envs(settings.iter().copied())
        .output()
        .unwrap()
}

fn complains(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_service_whose_log_nobody_reads_any_more_ends_when_it_is_told_to() {
    let redis = RedisServer::start(&[]);
    for program in PROGRAMS {
        let mut child = Command::new(binary(program))
            .env("LTM__REDIS__URL", redis.url())
            .env("LTM__API__LISTEN", "127.0.0.1:0")
            .env("LTM__GATEWAY__LISTEN", "127.0.0.1:0")
            .env("LTM__GATEWAY__DRAIN_NOTICE", "0s")
            .env("LTM__GATEWAY__DRAIN_TIME", "0s")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let listening = log.lines().any(|line| line.unwrap().contains("listening"));
        // The reader is gone now.
        assert!(listening);
        signal(child.id(), "TERM");
        until_blocking(&format!("{program} ends"), || child.try_wait().unwrap());
    }
}

#[test]
fn the_version_names_the_commit_that_it_was_built_from() {
    let given = std::env::var("LTM_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = given.unwrap_or_else(|| {
        let mut git = Command::new("git");
        let head = git
            .args(["rev-parse", "--short=12", "HEAD"])
            .output()
            .unwrap();
        String::from_utf8(head.stdout).unwrap().trim().into()
    });
    assert!(!commit.is_empty(), "git says no commit");
    for program in [PROGRAMS[0], PROGRAMS[1], "ltm"] {
        let said = run(program, &["--version"], &[]);
        let expected = format!("{program} {} ({commit})\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8(said.stdout).unwrap(), expected);
    }
}

#[test]
fn a_setting_that_is_unknown_or_wrong_is_named() {
    let section = |program: &str| program.trim_start_matches("ltm-").to_uppercase();
    for program in PROGRAMS {
        let unknown = format!("LTM__{}__MAX_BODDY", section(program));
        let said = complains(&run(program, &[], &[(&unknown, "1")]), 2);
        assert!(said.contains("max_boddy"), "{said}");
        let said = complains(
            &run(program, &[], &[("LTM__REDIS__RESPONSE_TIMEOUT", "soon")]),
            2,
        );
        assert!(said.contains("redis.response_timeout"), "{said}");
        let said = complains(&run(program, &[], &[("LTM__LOG__FORMAT", "xml")]), 2);
        assert!(said.contains("log.format"), "{said}");
        let said = complains(&run(program, &["--config", "/nonexistent.toml"], &[]), 2);
        assert!(said.contains("/nonexistent.toml"), "{said}");
    }
}

#[test]
fn a_setting_that_could_not_work_is_refused_at_the_start() {
    for (program, key, value) in [
        ("ltm-gateway", "gateway.ping_interval", "0s"),
        (
            "ltm-gateway",
            "gateway.ping_interval",
            "18446744073709551615s",
        ),
        (
            "ltm-gateway",
            "gateway.write_stall",
            "18446744073709551615s",
        ),
        (
            "ltm-gateway",
            "gateway.max_subscribers",
            "9223372036854775807",
        ),
        ("ltm-gateway", "gateway.max_reads", "0"),
        ("ltm-gateway", "gateway.max_frame", "16383 PiB"),
        (
            "ltm-gateway",
            "redis.response_timeout",
            "18446744073709551615s",
        ),
        (
            "ltm-gateway",
            "gateway.drain_notice",
            "18446744073709551615s",
        ),
        ("ltm-api", "http.keep_alive", "18446744073709551615s"),
        ("ltm-api", "api.retention_interval", "0s"),
        ("ltm-api", "api.max_depth", "100000"),
        ("ltm-api", "api.max_state", "1 TiB"),
        ("ltm-api", "redis.wait_timeout", "18446744073709551615s"),
    ] {
        let variable = format!("LTM__{}", key.replace('.', "__").to_uppercase());
        let said = complains(&run(program, &["--print-config"], &[(&variable, value)]), 2);
        assert!(said.contains(key) && said.contains("it can be"), "{said}");
    }
}

#[test]
fn one_file_holds_the_settings_of_both_and_variables_win_over_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ltm.toml");
    std::fs::write(
        &file,
        "[redis]\nresponse_timeout = \"7s\"\n[api]\nmax_depth = 99\n[gateway]\nmax_frame = \"1 KiB\"\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for (program, line) in PROGRAMS
        .into_iter()
        .zip(["max_depth = 99", "max_frame = \"1.0 KiB\""])
    {
        let shown = run(
            program,
            &["--config", file, "--print-config"],
            &[("LTM__REDIS__CONNECT_TIMEOUT", "9s")],
        );
        let shown = String::from_utf8(shown.stdout).unwrap();
        for line in [
            line,
            "response_timeout = \"7s\"",
            "connect_timeout = \"9s\"",
        ] {
            assert!(shown.contains(line), "{program} lacks {line}: {shown}");
        }
    }
}

#[test]
fn a_password_is_never_shown() {
    let secret = ("LTM__REDIS__URL", "redis://user:00123@127.0.0.1:1/0");
    for program in PROGRAMS {
        let shown = run(program, &["--print-config"], &[secret]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("redis://***@127.0.0.1:1/0"), "{shown}");
        assert!(!shown.contains("00123"), "{shown}");
        let wrong = ("LTM__REDIS__URL", "redis://user:00123@127.0.0.1:x/0");
        let listen = ("LTM__LOG__FORMAT", "json");
        let said = complains(&run(program, &[], &[wrong, listen]), 2);
        assert!(!said.contains("00123"), "{said}");
    }
}

#[test]
fn sentinels_are_shown_without_their_passwords_and_a_half_of_their_settings_is_refused() {
    let sentinels = (
        "LTM__REDIS__SENTINELS",
        "redis://:00123@127.0.0.1:1, redis://127.0.0.1:2",
    );
    let service = ("LTM__REDIS__SENTINEL_SERVICE", "ltm");
    let alone = ("LTM__REDIS__SENTINELS", "");
    let no_url = ("LTM__REDIS__SENTINELS", "u:00123@127.0.0.1:26379");
    let with_database = ("LTM__REDIS__SENTINELS", "redis://:00123@127.0.0.1:1/2");
    let socket = ("LTM__REDIS__URL", "redis+unix:///tmp/redis.sock");
    for program in PROGRAMS {
        let shown = run(program, &["--print-config"], &[sentinels, service]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        let line = r#"sentinels = ["redis://***@127.0.0.1:1", "redis://127.0.0.1:2"]"#;
        assert!(shown.contains(line), "{shown}");
        for (settings, complaint) in [
            (
                vec![sentinels],
                "redis.sentinel_service: redis.sentinels is set",
            ),
            (
                vec![service, alone],
                "redis.sentinels: redis.sentinel_service is set",
            ),
            (vec![no_url, service], "give redis://host:26379"),
            (vec![with_database, service], "a Sentinel has no databases"),
            (
                vec![sentinels, service, socket],
                "redis.url: with redis.sentinels",
            ),
        ] {
            let said = complains(&run(program, &[], &settings), 2);
            assert!(said.contains(complaint), "{said}");
            assert!(!said.contains("00123"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_whether_the_service_is_ready() {
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    for program in PROGRAMS {
        let service = match program {
            "ltm-api" => Service::api(&redis.url(), &[]),
            _ => Service::gateway(&redis.url(), &[]),
        };
        let listen = format!(
            "LTM__{}__LISTEN",
            program.trim_start_matches("ltm-").to_uppercase()
        );
        let probe = || run(program, &["--probe"], &[(&listen, service.address())]);
        let api = ltm_tests::Api::at(&service);
        api.until_ready_is(200).await;
        assert!(probe().status.success());
        redis.kill();
        api.until_ready_is(503).await;
        assert!(complains(&probe(), 1).contains("not ready"));
        redis.restart();
        api.until_ready_is(200).await;
    }
    let nobody = run(
        "ltm-api",
        &["--probe"],
        &[("LTM__API__LISTEN", "127.0.0.1:1")],
    );
    assert!(complains(&nobody, 1).contains("127.0.0.1:1"));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for program in PROGRAMS {
        let settings = [
            ("LTM__API__LISTEN", address.as_str()),
            ("LTM__GATEWAY__LISTEN", address.as_str()),
        ];
        let said = complains(&run(program, &[], &settings), 1);
        assert!(said.contains("is something else running there?"), "{said}");
    }
}

#[test]
fn a_service_opens_as_many_sockets_as_the_system_allows() {
    let script = format!("ulimit -S -n 256; exec {}", binary("ltm-gateway").display());
    let mut service = Command::new("sh")
        .args(["-c", &script])
        .env("LTM__GATEWAY__LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_blocking("the service has raised its limit", || {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.id())).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).collect();
        let raised = numbers[0] == numbers[1] && numbers[0] != "256";
        if raised { Ok(()) } else { Err(limits) }
    });
    service.kill().unwrap();
    service.wait().unwrap();
}

/// The texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The source of a module of the tests: its file, or every file of its folder.
fn test_source(name: &str) -> Option<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let topics = std::fs::read_dir(&tests).unwrap();
    let folders = topics.map(|topic| topic.unwrap().path());
    folders.chain([tests]).find_map(|folder| {
        if let Ok(text) = std::fs::read_to_string(folder.join(format!("{name}.rs"))) {
            return Some(text);
        }
        let files = std::fs::read_dir(folder.join(name)).ok()?;
        let paths = files.map(|file| file.unwrap().path());
        Some(
            paths
                .map(|path| std::fs::read_to_string(path).unwrap())
                .collect(),
        )
    })
}

/// Whether a text names tests, and all of them exist: a module, then tests in it.
fn names_tests(text: &str) -> bool {
    let mut source = String::new();
    for name in quoted(text) {
        match test_source(name) {
            Some(text) => source = text,
            None => assert!(source.contains(&format!("fn {name}(")), "{name}"),
        }
    }
    !source.is_empty()
}

#[test]
fn every_limit_in_the_documentation_is_a_setting_with_that_default_and_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(folder.join("../docs/limits.md")).unwrap();
    let mut shown = PROGRAMS
        .map(|program| run(program, &["--print-config"], &[]).stdout)
        .to_vec();
    shown.push(run("ltm", &["agui", "--print-config"], &[]).stdout);
    let shown = shown.into_iter();
    let shown = shown.map(|bytes| String::from_utf8(bytes).unwrap().replace('"', ""));
    let shown: Vec<String> = shown.collect();
    let mut limits = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (setting, default) = (quoted(cells[0])[0], quoted(cells[1])[0]);
        let (section, key) = setting.split_once('.').unwrap();
        let line = format!("\n{key} = {default}\n");
        let says_so = |shown: &String| {
            let sections = shown.split_once(&format!("[{section}]"));
            let rest = sections.map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.split("\n[").next().unwrap().contains(&line))
        };
        assert!(shown.iter().any(says_so), "{setting} is not {default}");
        assert!(names_tests(cells[3]), "{setting} has no test");
        limits += 1;
    }
    assert!(limits > 20, "{limits}");
    let more = page
        .split("\n\n")
        .filter(|part| part.starts_with("More tests"));
    for part in more {
        assert!(names_tests(part), "{part}");
    }
    let fixed = page.split("\n\n").filter(|part| part.starts_with("Fixed"));
    for part in fixed {
        let tests = part
            .split('(')
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        assert!(
            tests.filter(|(names, _)| names_tests(names)).count() > 2,
            "{part}"
        );
    }
}

/// A password in any form of an address appears neither in the printed settings nor in an error.
#[test]
fn no_form_of_an_address_shows_its_secret() {
    let secret = "hunter2";
    for (setting, value) in [
        ("REDIS__URL", "redis://user:hunter2@host:6379/0"),
        ("REDIS__URL", "redis://:hunter2@host"),
        ("REDIS__URL", "redis://user:p@hunter2@host"),
        ("REDIS__URL", "redis://user:hunter2"),
        ("REDIS__URL", "rediss://host:6379/0#hunter2"),
        (
            "REDIS__URL",
            "redis+unix:///run/redis.sock?user=user&pass=hunter2",
        ),
        ("REDIS__URL", "unix:///run/redis.sock?pass=hunter2"),
        ("REDIS__URL", "user:hunter2@host"),
        (
            "REDIS__SENTINELS",
            "redis://:hunter2@one:1,redis://user:hunter2@two:2",
        ),
        ("REDIS__CLUSTER_NODES", "user:hunter2@one:1,two:2"),
        ("AUTH__JWKS_URL", "https://user:hunter2@id.example/keys"),
        ("AUTH__JWKS_URL", "https://id.example/keys?token=hunter2"),
    ] {
        for program in ["ltm-api", "ltm-gateway"] {
            for arguments in [&["--print-config"][..], &[]] {
                let mut command = Command::new(binary(program));
                command
                    .args(arguments)
                    .env("LTM__AUTH__MODE", "required")
                    .env("LTM__AUTH__AUDIENCE", "a")
                    .env("LTM__AUTH__JWKS_URL", "https://id.example/keys")
                    .env(format!("LTM__{setting}"), value)
                    .env("LTM__API__LISTEN", "192.0.2.1:1")
                    .env("LTM__GATEWAY__LISTEN", "192.0.2.1:1");
                let output = command.output().unwrap();
                let said = format!("{output:?}");
                assert!(
                    !said.contains(secret),
                    "{program} {setting}={value}: {said}"
                );
            }
        }
    }
}

#[test]
fn a_log_level_that_is_no_filter_is_a_wrong_setting() {
    for program in PROGRAMS {
        let output = run(program, &[], &[("LTM__LOG__LEVEL", "info=loud=1")]);
        assert!(complains(&output, 2).contains("log.level"));
    }
}

#[test]
fn without_ca_certificates_a_service_refuses_only_https_urls_and_says_why() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let none = [
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
        ("LTM__AUTH__MODE", "required"),
        ("LTM__AUTH__AUDIENCE", "ltm-live"),
    ];
    let with = |keys, traces| {
        let urls = [
            ("LTM__AUTH__JWKS_URL", keys),
            ("LTM__TRACING__ENDPOINT", traces),
        ];
        [&none[..], &urls].concat()
    };
    let plain = "http://127.0.0.1:1";
    let https = "https://127.0.0.1:1";
    // They listen.
    drop(Service::api(&url, &with(plain, plain)));
    drop(Service::gateway(&url, &with(plain, plain)));
    for (settings, name) in [
        (with(https, plain), "auth.jwks_url"),
        (with(plain, https), "tracing.endpoint"),
    ] {
        for program in PROGRAMS {
            let said = complains(&run(program, &[], &settings), 2);
            assert!(
                said.contains(name) && said.contains("No CA certificates"),
                "{said}"
            );
        }
    }
}
