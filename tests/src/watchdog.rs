//! If a test never ends, the watchdog names it and ends the run.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

use crate::size;

/// How long one test may take. Each wait in it has a shorter limit of its own.
const LONGEST: Duration = Duration::from_secs(600);

/// The names of the running tests, and when each began. Soak tests have no limit.
static RUNNING: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(|| {
    if size(true, false) {
        std::thread::spawn(watch);
    }
    Mutex::default()
});

thread_local! {
    /// Lives as long as the thread. Each test has a thread of its own.
    static THIS_TEST: Test = Test::begin();
}

struct Test(Option<String>);

impl Test {
    fn begin() -> Self {
        let thread = std::thread::current();
        // A thread of a test is named after it. Threads of a runtime have other names.
        let name = thread.name().filter(|name| name.contains("::"));
        if let Some(name) = name {
            let mut running = RUNNING.lock().unwrap();
            running.insert(name.to_owned(), Instant::now());
        }
        Self(name.map(Into::into))
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            RUNNING.lock().unwrap().remove(name);
        }
    }
}

/// Watches the test of this thread until it ends.
pub(crate) fn watch_this_test() {
    THIS_TEST.with(|_| ());
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(5));
        for (name, began) in &*RUNNING.lock().unwrap() {
            if began.elapsed() > LONGEST {
                eprintln!("{name} has run for more than {LONGEST:?}: the run ends here");
                std::process::exit(101);
            }
        }
    }
}
