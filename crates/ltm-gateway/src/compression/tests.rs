//! Whatever a connection gets, and in whatever form, an inflater that knows only this connection reads the same texts.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

use bytesize::ByteSize;
use futures_util::{FutureExt, future::LocalBoxFuture};
use ltm_tests::{Inflater, Recording};
use ltm_types::{Cursor, EncodedMessage, Entry, Kind, LtmId};
use proptest::prelude::*;

use super::{limits::CompressionLimits, negotiation::Agreement};
use crate::{
    fanout::{
        entry_message::entry_message,
        frames::{Frames, frame_length},
        live_subscriber::LiveSubscriber,
        message::{Batch, LogPage, LogPageReader},
        topic::{Offered, Topic, TopicBounds},
    },
    metrics::GatewayMetrics,
    settings::GatewaySettings,
    subscriber::{
        large_messages::LargeMessages,
        outbound::{Outbound, Peer},
    },
};

const TOPICS: usize = 2;
/// Connections: one that cannot inflate, and each agreement there is.
const CLIENTS: usize = 5;

fn agreement(client: usize) -> Option<Agreement> {
    let (takeover, max_window_bits) = match client {
        0 => return None,
        1 | 2 => (true, None),
        3 => (false, None),
        _ => (true, Some(10)),
    };
    Some(Agreement {
        takeover,
        max_window_bits,
    })
}

#[derive(Clone, Debug)]
enum Action {
    /// Appends entries with texts of this size and kind, which are visited together.
    Append(usize, Vec<(usize, Text)>),
    /// A client gets what waits, and what it lacks: from the latest entries, or from a page of the log.
    CatchUp(usize, usize, bool),
    /// A client leaves a topic, and misses what comes.
    Leave(usize, usize),
    /// A client follows a topic from now on.
    Join(usize, usize),
    Reset(usize, usize, Text),
    /// A message that is not compressed.
    Plain(usize),
    /// The socket of a client accepts only this many more bytes.
    Stall(usize, usize),
    /// Nothing happens in a topic for long.
    Quiet(usize),
}

#[derive(Clone, Copy, Debug)]
enum Text {
    Repetitive,
    Varied,
    Incompressible,
}

impl Text {
    fn write(self, size: usize, number: u64) -> String {
        let mut random = fastrand::Rng::with_seed(number);
        let mut text = String::new();
        while text.len() < size {
            match self {
                Self::Repetitive => text.push_str("the same words again; "),
                Self::Varied => text.push_str(&format!("{} words, ", random.u8(..))),
                Self::Incompressible => text.extend((0..9).map(|_| random.alphanumeric())),
            }
        }
        text
    }
}

/// A socket that accepts as many bytes as it may.
struct Pipe {
    sent: RefCell<Vec<u8>>,
    room: Cell<usize>,
}

impl Peer for Pipe {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room.get().min(bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get() - count);
        self.sent.borrow_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn writable(&self) -> LocalBoxFuture<'_, io::Result<()>> {
        std::future::ready(Ok(())).boxed_local()
    }

    fn shut_down(&self) {}
}

struct Client {
    outbound: Rc<Outbound>,
    pipe: Rc<Pipe>,
    follows: Vec<Option<Rc<LiveSubscriber>>>,
    expected: Vec<String>,
}

impl Client {
    fn new(agreement: Option<Agreement>) -> Self {
        let pipe = Rc::new(Pipe {
            sent: RefCell::default(),
            room: Cell::new(usize::MAX),
        });
        Self {
            outbound: Rc::new(Outbound::new(
                pipe.clone(),
                agreement,
                LargeMessages::unlimited(),
            )),
            pipe,
            follows: (0..TOPICS).map(|_| None).collect(),
            expected: Vec::new(),
        }
    }

    /// Lets everything through that waits.
    fn flush(&self) {
        self.pipe.room.set(usize::MAX);
        self.outbound.flushed().now_or_never().unwrap().unwrap();
    }

    fn send(&mut self, frames: &Frames, texts: impl IntoIterator<Item = String>) {
        self.flush();
        self.outbound.send(frames).unwrap();
        self.expected.extend(texts);
    }

    /// The texts that an inflater of this connection alone reads.
    fn read(&self, agreement: Option<Agreement>) -> Result<Vec<String>, String> {
        let mut inflater =
            agreement.map(|it| Inflater::new(it.max_window_bits.unwrap_or(15), it.takeover));
        let sent = self.pipe.sent.borrow();
        let (mut rest, mut texts) = (&sent[..], Vec::new());
        let (mut payload, mut is_compressed) = (Vec::new(), false);
        while !rest.is_empty() {
            let (frame, later) = rest.split_at(frame_length(rest));
            rest = later;
            let head = match frame[1] {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            is_compressed |= frame[0] & 0x40 != 0;
            payload.extend_from_slice(&frame[head..]);
            if frame[0] & 0x80 == 0 {
                continue;
            }
            let whole = std::mem::take(&mut payload);
            let text = match (std::mem::take(&mut is_compressed), &mut inflater) {
                (false, _) => whole,
                (true, Some(inflater)) => inflater.message(&whole)?,
                (true, None) => return Err("a compressed message that nobody agreed on".into()),
            };
            texts.push(String::from_utf8(text).map_err(|e| e.to_string())?);
        }
        Ok(texts)
    }
}

struct Stage {
    topics: Vec<Rc<Topic>>,
    logs: Vec<Vec<EncodedMessage>>,
    clients: Vec<Client>,
    number: u64,
    limits: CompressionLimits,
}

impl Stage {
    /// Live texts from `min_size` to `max_size` bytes are compressed.
    fn new(min_size: u64, max_size: u64) -> Self {
        let settings = GatewaySettings {
            compression_min_size: ByteSize::b(min_size),
            compression_max_size: ByteSize::b(max_size),
            compression_min_subscribers: 2,
            ..GatewaySettings::default()
        };
        let limits = CompressionLimits::new(&settings);
        let bounds = TopicBounds {
            window: 30_000,
            batch: 9_000,
            compression: limits,
        };
        let topic = |id| {
            let topic = Topic::new(LtmId::new(id).unwrap(), bounds, GatewayMetrics::new());
            assert!(!topic.restart(None, Some(Cursor::ORIGIN), false));
            topic
        };
        let mut stage = Self {
            topics: (1..=TOPICS as u64).map(topic).collect(),
            logs: vec![Vec::new(); TOPICS],
            clients: (0..CLIENTS).map(|it| Client::new(agreement(it))).collect(),
            number: 0,
            limits,
        };
        for topic in 0..TOPICS {
            for client in 0..CLIENTS {
                stage.join(client, topic);
            }
        }
        stage
    }

    fn head(&self, topic: usize) -> Cursor {
        self.topics[topic].head().cursor.unwrap()
    }

    fn join(&mut self, client: usize, topic: usize) {
        self.leave(client, topic);
        let head = self.head(topic);
        let client = &mut self.clients[client];
        let subscriber = LiveSubscriber::new(client.outbound.clone(), head);
        if subscriber.inflates() {
            self.topics[topic].begin_inflating();
        }
        self.topics[topic].join(&subscriber);
        client.follows[topic] = Some(subscriber);
    }

    fn leave(&mut self, client: usize, topic: usize) {
        if let Some(subscriber) = self.clients[client].follows[topic].take() {
            self.topics[topic].leave(&subscriber);
            if subscriber.inflates() {
                self.topics[topic].end_inflating();
            }
        }
    }

    fn append(&mut self, topic: usize, texts: &[(usize, Text)]) {
        let mut payload = |(size, text): &(usize, Text)| {
            self.number += 1;
            let text = text.write(*size, self.number);
            format!(
                r#"{{"time":"2026-01-01T00:00:00Z","reason":"{text}","item":null,"patch":[],"execute_queue":[],"transitions_queue":[]}}"#
            )
        };
        let payloads = texts.iter().map(&mut payload).collect();
        self.append_payloads(topic, payloads);
    }

    /// Appends entries that are visited together.
    fn append_payloads(&mut self, topic: usize, payloads: Vec<String>) {
        let before: Vec<Option<Cursor>> = self.positions(topic);
        let mut has_news = false;
        for payload in payloads {
            let head = self.head(topic);
            let entry = Entry::after(head, Kind::Snapshot, payload.into());
            let id = self.topics[topic].id;
            let message = entry_message(id, head, &entry);
            assert!(!message.text.is_empty(), "{}", entry.payload);
            self.logs[topic].push(message);
            has_news |= self.topics[topic].offer(&entry, 0) == Offered::News;
        }
        while has_news && self.topics[topic].visit(&mut 2) {}
        for (client, from) in before.into_iter().enumerate() {
            if let Some(from) = from {
                self.expect(client, topic, from);
            }
        }
    }

    fn positions(&self, topic: usize) -> Vec<Option<Cursor>> {
        let position = |client: &Client| Some(client.follows[topic].as_ref()?.position());
        self.clients.iter().map(position).collect()
    }

    /// The client has got the messages from there to where it is now.
    fn expect(&mut self, client: usize, topic: usize, from: Cursor) {
        let client = &mut self.clients[client];
        let to = client.follows[topic].as_ref().unwrap().position();
        let log = self.logs[topic].iter();
        let got = log.filter(|it| it.cursor > from && it.cursor <= to);
        client.expected.extend(got.map(|it| it.text.to_string()));
    }

    fn catch_up(&mut self, client: usize, topic: usize, from_log: bool) {
        let Some(subscriber) = self.clients[client].follows[topic].clone() else {
            return;
        };
        self.topics[topic].leave(&subscriber);
        let bounds = self.topics[topic].bounds();
        while subscriber.position() != self.head(topic) {
            let position = subscriber.position();
            let recent = self.topics[topic].after(position, bounds);
            if let Some(batch) = recent.filter(|_| !from_log) {
                self.send_batch(client, topic, &batch);
                continue;
            }
            let log = self.logs[topic].iter();
            let lacking = log.filter(|it| it.cursor > position).take(5).cloned();
            let page = if subscriber.inflates() {
                LogPage::compressed(lacking.collect(), |length| self.limits.allow(length))
            } else {
                lacking.collect()
            };
            let mut reader = LogPageReader::new(Arc::new(page));
            while let Some(batch) = reader.next(subscriber.position(), bounds) {
                self.send_batch(client, topic, &batch);
            }
        }
        self.clients[client].flush();
        self.topics[topic].join(&subscriber);
    }

    fn send_batch(&mut self, client: usize, topic: usize, batch: &Batch) {
        let subscriber = self.clients[client].follows[topic].clone().unwrap();
        let from = subscriber.position();
        self.clients[client].send(&batch.frames, []);
        subscriber.advance(batch.to, batch.last);
        self.expect(client, topic, from);
    }

    fn reset(&mut self, client: usize, topic: usize, text: Text) {
        self.number += 1;
        let state = text.write(100_000, self.number);
        let Some(subscriber) = self.clients[client].follows[topic].clone() else {
            return;
        };
        let head = self.head(topic);
        self.topics[topic].leave(&subscriber);
        let frames = if subscriber.inflates() {
            Frames::alone(&state)
        } else {
            Frames::plain(&state)
        };
        self.clients[client].send(&frames, [state]);
        subscriber.advance(head, false);
        self.topics[topic].join(&subscriber);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Append(topic, texts) => self.append(*topic, texts),
            Action::CatchUp(client, topic, from_log) => self.catch_up(*client, *topic, *from_log),
            Action::Leave(client, topic) => self.leave(*client, *topic),
            Action::Join(client, topic) => self.join(*client, *topic),
            Action::Reset(client, topic, text) => self.reset(*client, *topic, *text),
            Action::Plain(client) => {
                let text = "{}".to_owned();
                self.clients[*client].send(&Frames::plain(&text), [text]);
            }
            Action::Stall(client, room) => self.clients[*client].pipe.room.set(*room),
            Action::Quiet(topic) => (0..20).for_each(|_| self.topics[*topic].age()),
        }
    }
}

fn text() -> impl Strategy<Value = Text> + Clone {
    prop_oneof![
        5 => Just(Text::Repetitive),
        5 => Just(Text::Varied),
        1 => Just(Text::Incompressible),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let size = prop_oneof![6 => 0usize..600, 2 => 600usize..5_000, 1 => 5_000usize..25_000];
    let (client, topic) = (0..CLIENTS, 0..TOPICS);
    let texts = |count| prop::collection::vec((size.clone(), text()), count);
    prop_oneof![
        14 => (topic.clone(), texts(1..2)).prop_map(|(topic, texts)| Action::Append(topic, texts)),
        4 => (topic.clone(), texts(2..6)).prop_map(|(topic, texts)| Action::Append(topic, texts)),
        4 => (client.clone(), topic.clone(), any::<bool>()).prop_map(|(client, topic, from_log)| Action::CatchUp(client, topic, from_log)),
        1 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Action::Leave(client, topic)),
        3 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Action::Join(client, topic)),
        1 => (client.clone(), topic.clone(), text()).prop_map(|(client, topic, text)| Action::Reset(client, topic, text)),
        1 => client.clone().prop_map(Action::Plain),
        2 => (client, 0usize..3_000).prop_map(|(client, room)| Action::Stall(client, room)),
        1 => topic.prop_map(Action::Quiet),
    ]
}

proptest! {
    // Each is long.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn any_mix_of_joins_resumes_and_forms_inflates_to_the_same_texts(
        actions in prop::collection::vec(action(), 1..60), min_size in 0u64..400,
    ) {
        let mut stage = Stage::new(min_size, 20_000);
        for action in &actions {
            stage.act(action);
        }
        for (number, client) in stage.clients.iter().enumerate() {
            client.flush();
            let read = client.read(agreement(number));
            prop_assert_eq!(read.as_ref(), Ok(&client.expected), "client {}", number);
        }
    }
}

#[test]
fn a_client_without_a_lasting_window_gets_no_text_that_refers_to_another_of_the_same_batch() {
    let mut stage = Stage::new(0, 20_000);
    stage.append(0, &[(200, Text::Varied), (200, Text::Repetitive)]);
    for client in 0..CLIENTS {
        let read = stage.clients[client].read(agreement(client));
        assert_eq!(read.as_ref(), Ok(&stage.clients[client].expected));
    }
}

#[test]
fn a_text_that_is_larger_than_a_window_is_compressed_for_all_but_small_windows() {
    let mut stage = Stage::new(0, 20_000);
    for client in 0..CLIENTS {
        stage.reset(client, 0, Text::Repetitive);
    }
    let sent = (0..CLIENTS).map(|it| stage.clients[it].pipe.sent.borrow().len());
    let is_small: Vec<bool> = sent.map(|bytes| bytes < 50_000).collect();
    assert_eq!(is_small, [false, true, true, true, false]);
}

/// A live message costs a follower little more than what is new in it, as soon as it has the context; a newcomer gets there.
#[test]
fn a_live_follower_gets_messages_in_context_and_a_newcomer_soon_does() {
    let mut stage = Stage::new(0, 20_000);
    let sent = |stage: &Stage, client: usize| stage.clients[client].pipe.sent.borrow().len();
    stage.leave(2, 0);
    for _ in 0..30 {
        stage.append(0, &[(400, Text::Varied)]);
    }
    stage.join(2, 0);
    for _ in 0..10 {
        stage.append(0, &[(400, Text::Varied)]);
    }
    let before: Vec<usize> = (0..CLIENTS).map(|it| sent(&stage, it)).collect();
    stage.append(0, &[(400, Text::Repetitive)]);
    stage.append(0, &[(400, Text::Repetitive)]);
    let took = |client: usize| sent(&stage, client) - before[client];
    assert_eq!(
        took(1),
        took(2),
        "the newcomer shares the messages of the others"
    );
    assert!(took(1) * 3 < took(0), "{} and {}", took(1), took(0));
    assert!(took(1) * 3 < took(3) * 2, "{} without context", took(3));
}

/// Prints the bytes of live messages, as a live follower of each recorded history gets them: `--nocapture` shows them.
#[test]
fn live_messages_of_recorded_histories_become_small() {
    let long = |it: &Recording| it.snapshots().len() >= 20;
    let mut count = 0;
    for recording in Recording::all().into_iter().filter(long) {
        let mut stage = Stage::new(0, 1 << 20);
        for snapshot in recording.snapshots() {
            stage.append_payloads(0, vec![snapshot.to_string()]);
            // A message that is larger than the window of the topic comes from the log.
            for client in 0..CLIENTS {
                stage.catch_up(client, 0, false);
            }
        }
        let sent = |client: usize| {
            let read = stage.clients[client].read(agreement(client));
            assert_eq!(read.as_ref(), Ok(&stage.clients[client].expected));
            stage.clients[client].pipe.sent.borrow().len()
        };
        let (plain, in_context, alone) = (sent(0), sent(1), sent(3));
        println!(
            "| {} | {} | {} | {} % | {} % |",
            recording.name,
            recording.snapshots().len(),
            plain / recording.snapshots().len(),
            alone * 100 / plain,
            in_context * 100 / plain,
        );
        assert!(in_context * 100 < plain * 45, "{}", recording.name);
        assert!(in_context < alone, "{}", recording.name);
        count += 1;
    }
    assert!(count >= 4, "{count} recordings");
}
