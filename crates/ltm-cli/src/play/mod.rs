//! `ltm play`: plays a recorded history into a new LTM.

mod history;
mod speed;

use std::{fs, num::NonZeroUsize, path::PathBuf, time::Duration};

use ltm_client::Client;
use ltm_types::LtmId;
use tokio::time::{Instant, sleep_until};

use crate::{
    error::Error,
    terminal::{Output, progress_bar},
    text::count_of,
};
use history::History;
use speed::Speed;

/// The arguments of `ltm play`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A document as `ltm --json get` prints it, or a recording with such `documents`
    file: PathBuf,
    /// The speed: 1, 10x, 0.5, max
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// The id of the new LTM [default: the next free one]
    #[arg(long, value_name = "N")]
    id: Option<LtmId>,
    /// Your own id of it, such as a UUID: no LTM of the class may have this key yet
    #[arg(long)]
    key: Option<String>,
    /// Its name [default: the recorded one]
    #[arg(long)]
    name: Option<String>,
    /// Play only the first N snapshots
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
}

/// The longest wait between two snapshots.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Creates an LTM, prints its id, and appends the recorded snapshots at their times.
pub(crate) async fn run(client: &Client, args: &Args, output: Output) -> Result<(), Error> {
    let text = fs::read_to_string(&args.file)
        .map_err(|e| Error::Input(format!("{}: {e}", args.file.display())))?;
    let history = History::read(&text)?;
    let producer = client.producer();
    let mut new = history.creation(args.name.as_deref(), args.id);
    new.key = args.key.as_deref();
    let created = producer.create(&new).send().await?;
    let id = created.id;
    if !created.created {
        return Err(Error::Input(format!(
            "LTM {id} of the class {} has this key already; choose another --key",
            new.fqn
        )));
    }
    if output.json() {
        output.json_line(&created.text)?;
    } else {
        output.line(&format!("LTM {id}"))?;
    }
    let end = args
        .limit
        .map_or(usize::MAX, NonZeroUsize::get)
        .min(history.len());
    let bar = progress_bar(end as u64, "snapshots");
    let mut due = Instant::now();
    for (index, gap, step) in history.steps().take_while(|(index, ..)| *index < end) {
        bar.set_position(index as u64);
        due = (due + wait(gap, args.speed)).max(Instant::now());
        sleep_until(due).await;
        let appended = producer
            .append(id, step)
            .on_retry(output.notes_retry(|note| bar.suspend(note)))
            .send()
            .await;
        appended.map_err(|error| Error::from(error).of_snapshot(index))?;
    }
    bar.finish_and_clear();
    output.note(&format!(
        "played {} into LTM {id}",
        count_of(end, "snapshot")
    ));
    Ok(())
}

/// How long to wait for a recorded gap.
fn wait(gap: Duration, speed: Speed) -> Duration {
    match speed {
        Speed::Max => Duration::ZERO,
        // A wait that does not fit a duration is longer than the longest wait, too.
        Speed::Times(times) => Duration::try_from_secs_f64(gap.as_secs_f64() / times)
            .unwrap_or(LONGEST_WAIT)
            .min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_gap_by_the_speed_within_a_bound() {
        let gap = Duration::from_secs(2);
        for (speed, expected) in [
            (Speed::Times(1.0), gap),
            (Speed::Times(10.0), Duration::from_millis(200)),
            (Speed::Times(0.1), LONGEST_WAIT),
            (Speed::Times(f64::MIN_POSITIVE), LONGEST_WAIT),
            (Speed::Max, Duration::ZERO),
        ] {
            assert_eq!(wait(gap, speed), expected, "{speed:?}");
        }
    }
}
