use ltm_types::Kind;
use proptest::prelude::*;

use super::*;
use crate::{
    dialect::messages::Messages,
    settings::GatewaySettings,
    subscriber::{event_queue::EventQueue, large_messages::LargeMessages, outbound::Outbound},
};

fn history(from: Cursor, payloads: &[&str]) -> Vec<Entry> {
    let mut position = from;
    let next = |payload: &&str| {
        let entry = Entry::after(position, Kind::Snapshot, (*payload).into());
        position = entry.cursor;
        entry
    };
    payloads.iter().map(next).collect()
}

fn topic_at(cursor: Cursor, max_bytes: usize) -> Rc<Topic> {
    let id = LtmId::new(1).unwrap();
    let bounds = TopicBounds {
        window: max_bytes,
        batch: 0,
        compression: CompressionLimits::new(&GatewaySettings::default()),
    };
    let topic = Topic::new(id, bounds, GatewayMetrics::new());
    assert!(!topic.restart(None, Some(cursor), false));
    topic
}

/// Where the message leads that comes after `position`, if it is one of the latest.
fn next(topic: &Topic, position: Cursor) -> Option<Cursor> {
    let bounds = BatchBounds {
        bytes: 0,
        last: position.seq + 1,
    };
    topic.after(position, bounds).map(|batch| batch.to)
}

proptest! {
    #[test]
    fn the_latest_entries_stay_within_their_bytes_and_in_order(sizes in prop::collection::vec(0usize..400, 1..40)) {
        let payloads: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
        let log = history(Cursor::ORIGIN, &payloads.iter().map(String::as_str).collect::<Vec<_>>());
        let topic = topic_at(Cursor::ORIGIN, 1000);
        for entry in &log {
            prop_assert_eq!(topic.offer(entry, 0), Offered::Nothing);
            let recent = topic.recent.borrow();
            prop_assert!(recent.bytes <= 1000);
            let held: usize = recent.messages.iter().map(FramedMessage::weight).sum();
            prop_assert_eq!(recent.bytes, held);
        }
        for pair in log.windows(2) {
            let to = next(&topic, pair[0].cursor);
            prop_assert!(to.is_none_or(|to| to == pair[1].cursor));
        }
    }
}

#[test]
fn an_entry_after_a_gap_waits_for_the_log() {
    let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
    let topic = topic_at(log[0].cursor, 1000);
    assert_eq!(topic.offer(&log[2], 0), Offered::Gap);
    let head = log[2].cursor;
    let window = Window {
        entries: log[1..].to_vec(),
        head,
    };
    assert!(!topic.extend(log[0].cursor, &window));
    assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
    assert_eq!(topic.offer(&log[2], 0), Offered::Nothing);
    assert_eq!(next(&topic, log[0].cursor), Some(log[1].cursor));
    assert_eq!(topic.head().cursor, Some(head));
}

#[test]
fn an_entry_of_another_history_is_not_taken() {
    let log = history(Cursor::ORIGIN, &["a", "b"]);
    let other = history(log[0].cursor, &["B", "C"]);
    let topic = topic_at(log[1].cursor, 1000);
    assert_eq!(topic.offer(&other[0], 0), Offered::Gap);
    assert_eq!(topic.offer(&other[1], 0), Offered::Gap);
    assert!(!topic.restart(Some(log[1].cursor), Some(other[1].cursor), true));
    assert_eq!(topic.head().generation, 1);
    assert!(next(&topic, log[0].cursor).is_none());
}

#[test]
fn what_a_late_read_brings_does_not_turn_the_topic_back() {
    let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
    let topic = topic_at(log[0].cursor, 1000);
    assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
    assert!(!topic.restart(Some(log[0].cursor), Some(log[0].cursor), true));
    let window = Window {
        entries: vec![log[1].clone()],
        head: log[1].cursor,
    };
    assert!(!topic.extend(log[0].cursor, &window));
    assert_eq!(
        topic.head(),
        TopicHead {
            cursor: Some(log[1].cursor),
            ..TopicHead::default()
        }
    );
}

#[test]
fn entries_that_nobody_needs_any_more_age_out() {
    let log = history(Cursor::ORIGIN, &["a", "b"]);
    let topic = topic_at(Cursor::ORIGIN, 1000);
    assert_eq!(topic.offer(&log[0], 0), Offered::Nothing);
    topic.age();
    assert_eq!(topic.offer(&log[1], 0), Offered::Nothing);
    topic.age();
    assert!(next(&topic, Cursor::ORIGIN).is_none());
    assert!(next(&topic, log[0].cursor).is_some());
    topic.age();
    assert_eq!(topic.recent.borrow().bytes, 0);
}

#[test]
fn news_is_reported_once_until_every_subscriber_has_it() {
    let log = history(Cursor::ORIGIN, &["a", "b", "c"]);
    let topic = topic_at(Cursor::ORIGIN, 1000);
    let queue = Rc::new(EventQueue::new(1 << 20, Box::new(Messages)));
    let outbound = Rc::new(Outbound::events(queue, LargeMessages::unlimited()));
    let subscribers = [Cursor::ORIGIN; 3].map(|at| LiveSubscriber::new(outbound.clone(), at));
    for subscriber in &subscribers {
        topic.join(subscriber);
    }
    assert_eq!(topic.offer(&log[0], 0), Offered::News);
    assert!(topic.visit(&mut 1), "two subscribers lack it");
    assert_eq!(topic.offer(&log[1], 0), Offered::Nothing, "it is scheduled");
    while topic.visit(&mut 1) {}
    for subscriber in &subscribers {
        assert_eq!(subscriber.position(), log[1].cursor);
    }
    assert_eq!(topic.offer(&log[2], 0), Offered::News);
}
