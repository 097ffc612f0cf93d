use super::*;

/// What the server at this socket answers to a command.
async fn answer(redis: &LocalRedis, command: &str) -> String {
    ask(&redis.files.socket, command).await.unwrap()
}

#[tokio::test]
async fn it_answers_alone_on_its_socket_and_keeps_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("with space");
    let redis = LocalRedis::start(&data).await.unwrap();
    assert_eq!(answer(&redis, "SET kept yes").await, "+OK\r\n");
    assert!(
        answer(&redis, "CONFIG GET port")
            .await
            .contains("\r\n0\r\n")
    );
    assert!(redis.url().starts_with("redis+unix:///"));
    assert!(redis.url().ends_with("/with%20space/redis.sock"));
    redis.stop().await.unwrap();

    let redis = LocalRedis::start(&data).await.unwrap();
    assert_eq!(answer(&redis, "GET kept").await, "$3\r\nyes\r\n");
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn the_first_program_that_is_installed_serves() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::create(dir.path()).unwrap();
    let missing = files.spawn(&["no-such-server", "no-other-server"]);
    assert!(matches!(missing, Err(LocalRedisError::NotInstalled)));
    let mut server = files
        .spawn(&["no-such-server", PROGRAMS[0], "no-other-server"])
        .unwrap();
    wait_until_ready(&files.socket).await;
    ask(&files.socket, "SHUTDOWN").await.unwrap();
    assert!(server.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let redis = LocalRedis::start(dir.path()).await.unwrap();
    let second = LocalRedis::start(dir.path()).await;
    assert!(
        matches!(second, Err(LocalRedisError::InUse(_))),
        "{second:?}"
    );
    assert_eq!(answer(&redis, "PING").await, "+PONG\r\n");
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_a_killed_process_left_is_replaced_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::create(dir.path()).unwrap();
    let mut left = files.spawn(&PROGRAMS).unwrap();
    timeout(START_LIMIT, wait_until_ready(&files.socket))
        .await
        .unwrap();
    ask(&files.socket, "SET kept yes").await.unwrap();

    let redis = LocalRedis::start(dir.path()).await.unwrap();
    assert!(left.wait().await.unwrap().success());
    assert_eq!(answer(&redis, "GET kept").await, "$3\r\nyes\r\n");
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn its_death_is_noticed_and_its_log_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = LocalRedis::start(dir.path()).await.unwrap();
    // A signal handler of Redis writes this last line of its log.
    let _ = ask(&redis.files.socket, "SHUTDOWN").await;
    let error = redis.died().await;
    assert!(matches!(error, LocalRedisError::Died { .. }), "{error}");
    assert!(error.to_string().contains("ready to exit"), "{error}");
}

#[tokio::test]
async fn one_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    // Its append-only files would lie in this directory.
    fs::write(dir.path().join("appendonlydir"), "in the way").unwrap();
    let error = LocalRedis::start(dir.path()).await.unwrap_err();
    assert!(error.to_string().contains("append"), "{error}");
}

#[tokio::test]
async fn one_that_hangs_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let redis = LocalRedis::start(dir.path()).await.unwrap();
    let mut stream = UnixStream::connect(&redis.files.socket).await.unwrap();
    let script = b"EVAL \"while true do end\" 0\r\n";
    stream.write_all(script).await.unwrap();
    redis.stop().await.unwrap();
    let mut rest = Vec::new();
    // Its end closes or resets the connection.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn one_that_is_dropped_ends() {
    let dir = tempfile::tempdir().unwrap();
    let redis = LocalRedis::start(dir.path()).await.unwrap();
    let socket = redis.files.socket.clone();
    drop(redis);
    let gone = async {
        while ask(&socket, "PING").await.is_ok() {
            sleep(PAUSE).await;
        }
    };
    timeout(STOP_LIMIT, gone).await.unwrap();
}

#[test]
fn a_path_that_no_socket_can_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(LONGEST_SOCKET));
    let error = Files::create(&long).unwrap_err();
    assert!(matches!(error, LocalRedisError::PathTooLong(_)), "{error}");
}
