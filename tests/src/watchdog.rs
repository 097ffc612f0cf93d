//! A test that never ends is named, and ends the run.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

use crate::size;

/// The longest that one test may take. Every wait in it has a limit of its own, which is shorter.
const LONGEST: Duration = Duration::from_secs(600);

/// The tests that run now, by name, and when each began. A soak test may take as long as it needs.
static RUNNING: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(|| {
    if size(true, false) {
        std::thread::spawn(watch);
    }
    Mutex::default()
});

thread_local! {
    /// It lives as long as the thread, and a test has a thread of its own.
    static THIS_TEST: Test = Test::begin();
}

struct Test(Option<String>);

impl Test {
    fn begin() -> Self {
        let thread = std::thread::current();
        // The threads of a runtime are called otherwise.
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
