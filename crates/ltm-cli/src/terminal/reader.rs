//! The reader of standard output.

use std::{
    io::{self, ErrorKind},
    os::fd::AsFd,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::time::sleep;

use crate::error::Error;

/// The pause between two looks at the reader.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until the reader of standard output has gone, as in `| head`. Returns the error that a write then gets.
///
/// A file has no reader, so this waits without end.
pub(crate) async fn reader_gone() -> Error {
    while !has_gone() {
        sleep(PAUSE).await;
    }
    Error::Output(ErrorKind::BrokenPipe.into())
}

fn has_gone() -> bool {
    let output = io::stdout();
    // The system reports errors and hang-ups of a pipe, socket or terminal also if nothing is asked for.
    let mut watched = [PollFd::new(output.as_fd(), PollFlags::empty())];
    let polled = poll(&mut watched, PollTimeout::ZERO);
    let seen = watched[0].revents().unwrap_or(PollFlags::empty());
    polled.is_ok() && seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)
}
