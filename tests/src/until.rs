//! How tests wait: they look again and again, and fail with the name of what does not come.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// The longest wait for something that should happen.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The result of one look: what the test waits for, or what is there instead.
pub trait Look {
    /// What the test waits for.
    type Found;
    /// What is there instead.
    type Seen: Debug;

    /// What was found.
    ///
    /// # Errors
    ///
    /// What is there instead, if it has not come yet.
    fn found(self) -> Result<Self::Found, Self::Seen>;
}

impl Look for bool {
    type Found = ();
    type Seen = ();

    fn found(self) -> Result<(), ()> {
        if self { Ok(()) } else { Err(()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;
    type Seen = ();

    fn found(self) -> Result<T, ()> {
        self.ok_or(())
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;
    type Seen = E;

    fn found(self) -> Self {
        self
    }
}

/// Looks until it finds what the test waits for, at most for [`LIMIT`].
///
/// # Panics
///
/// After the limit. The message names what the test waits for, and shows the error of the last look.
pub async fn until<T: Look>(what: &str, look: impl AsyncFnMut() -> T) -> T::Found {
    until_within(LIMIT, what, look).await
}

/// [`until`] with another limit.
///
/// # Panics
///
/// As [`until`] does.
pub async fn until_within<T: Look>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> T,
) -> T::Found {
    let mut wait = Wait::new();
    loop {
        match look().await.found() {
            Ok(found) => return found,
            Err(seen) if wait.is_over(limit) => fail(limit, what, &seen),
            Err(_) => tokio::time::sleep(wait.pause()).await,
        }
    }
}

/// [`until`] for code that is not async. It blocks the thread.
///
/// # Panics
///
/// As [`until`] does.
pub fn until_blocking<T: Look>(what: &str, look: impl FnMut() -> T) -> T::Found {
    attempt(look).unwrap_or_else(|seen| fail(LIMIT, what, &seen))
}

/// [`until_blocking`] for code that must not panic, such as a destructor.
///
/// # Errors
///
/// What the last look saw, if [`LIMIT`] is over.
pub fn attempt<T: Look>(mut look: impl FnMut() -> T) -> Result<T::Found, T::Seen> {
    let mut wait = Wait::new();
    loop {
        match look().found() {
            Ok(found) => return Ok(found),
            Err(seen) if wait.is_over(LIMIT) => return Err(seen),
            Err(_) => std::thread::sleep(wait.pause()),
        }
    }
}

fn fail(limit: Duration, what: &str, seen: &dyn Debug) -> ! {
    panic!("still waiting after {limit:?}: {what}; the last look saw {seen:#?}")
}

/// When the wait began, and how long the next pause is. Short pauses first: a quick answer costs no time. Longer ones
/// later: a slow answer costs no CPU.
struct Wait {
    began: Instant,
    pause: Duration,
}

impl Wait {
    const LONGEST: Duration = Duration::from_millis(50);

    fn new() -> Self {
        Self {
            began: Instant::now(),
            pause: Duration::from_millis(5),
        }
    }

    fn is_over(&self, limit: Duration) -> bool {
        self.began.elapsed() >= limit
    }

    fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_thing_found_ends_the_wait() {
        let mut looks = 0;
        let found = until("the third look", async || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(
        expected = "still waiting after 30ms: a free permit; the last look saw \"2 of 2 taken\""
    )]
    async fn a_wait_in_vain_fails_by_its_name_and_what_it_saw() {
        let look = async || Err::<(), _>("2 of 2 taken");
        until_within(Duration::from_millis(30), "a free permit", look).await;
    }
}
