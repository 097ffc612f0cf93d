//! The floor of an append: Redis runs the script of the services, without the services.
//!
//! `redis-benchmark` cannot make this load. The script accepts an entry only at the head of the log, and
//! a cursor has a hash of the entry and all entries before it. `redis-benchmark` sends the same arguments
//! each time, or random digits in them, so the script would reject every call but the first. This file
//! works like `redis-benchmark`, with the right arguments: one thread, one `epoll`, and connections that
//! send the next command after each answer. Both reach the same rate with a variant of the script in
//! which Redis makes the ids.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::append::Load;
use crate::{
    error::Error,
    load::redis::{Redis, write_command},
    report::{Row, progress::Progress},
    targets::{Target, usage::Usage},
};

/// The script that the services append with.
const SCRIPT: &str = include_str!("../../../ltm-store/src/scripts/append.lua");
/// Its answer to each append.
const DONE: &[u8] = b"*2\r\n$2\r\nok\r\n$0\r\n\r\n";

/// A log and its head.
struct Log {
    id: LtmId,
    last: Cursor,
}

/// A connection with logs of its own.
struct Connection {
    socket: TcpStream,
    logs: Vec<Log>,
    turn: usize,
    command: Vec<u8>,
}

/// Appends until the time is over.
pub(crate) fn run(target: &Target, load: Load) -> Result<Row, Error> {
    let address = target.redis_at.as_deref().unwrap_or_default();
    let mut redis = Redis::connect(address)?;
    let script = redis.ask(&["SCRIPT", "LOAD", SCRIPT])?.concat();
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(load.producers);
    for number in 0..load.producers {
        let first = (number * load.ltms) as u64 + 1;
        let logs = (first..).take(load.ltms).map(|id| create(&mut redis, id));
        let logs = logs.collect::<Result<Vec<_>, Error>>()?;
        let mut connection = Connection::open(address, logs)?;
        let token = Token(number);
        let registry = poll.registry();
        registry.register(&mut connection.socket, token, Interest::READABLE)?;
        connections.push(connection);
    }
    let progress = Progress::new("append, floor".into(), load.seconds);
    let mut events = Events::with_capacity(1024);
    let (usage, mut count, mut open) = (Usage::begin(target), 0_u64, connections.len());
    let until = Instant::now() + Duration::from_secs(load.seconds);
    for connection in &mut connections {
        connection.append(&script)?;
    }
    while open > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            return Err(Error::Answer("Redis does not answer".into()));
        }
        let on = Instant::now() < until;
        for event in events.iter() {
            let connection = &mut connections[event.token().0];
            if !connection.is_done()? {
                continue;
            }
            count += 1;
            if on {
                connection.append(&script)?;
            } else {
                open -= 1;
            }
        }
        progress.at(usage.seconds() as u64);
    }
    let (seconds, cpu) = (usage.seconds(), usage.cpu(target));
    let row = Row::new("append", target.kind, load.shown());
    Ok(row
        .with("appends/s", count as f64 / seconds)
        .costs(&cpu, count as f64))
}

/// Creates the keys of an LTM that the script needs.
fn create(redis: &mut Redis, number: u64) -> Result<Log, Error> {
    let id = LtmId::new(number).map_err(|error| Error::Answer(error.to_string()))?;
    let first = entry(Cursor::ORIGIN, 0);
    let (log, meta, at) = (keys::log(id), keys::meta(id), first.cursor.to_string());
    redis.ask(&["XADD", &log, &at, first.kind.as_str(), &first.payload])?;
    redis.ask(&["HSET", &meta, "cursor", &at, "snapshots_count", "1"])?;
    let last = first.cursor;
    Ok(Log { id, last })
}

/// The entry that the services write for a snapshot with a patch of one small operation.
fn entry(last: Cursor, value: u64) -> Entry {
    let payload = format!(
        r#"{{"time":"{NOW}","reason":"execute","item":null,"patch":[{{"op":"replace","path":"/n","value":{value}}}],"execute_queue":[],"transitions_queue":[]}}"#
    );
    Entry::after(last, Kind::Snapshot, payload.into())
}

const NOW: &str = "2026-01-01T00:00:00.000000Z";

impl Connection {
    fn open(address: &str, logs: Vec<Log>) -> Result<Self, Error> {
        let wrong = || Error::Answer(format!("{address} is not an address"));
        let address: SocketAddr = address.parse().map_err(|_| wrong())?;
        let socket = std::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket),
            logs,
            turn: 0,
            command: Vec::new(),
        })
    }

    /// Sends the next append.
    fn append(&mut self, script: &str) -> Result<(), Error> {
        self.turn = (self.turn + 1) % self.logs.len();
        let log = &mut self.logs[self.turn];
        let id = log.id;
        let entry = entry(log.last, log.last.seq);
        self.command.clear();
        let words = [
            "EVALSHA",
            script,
            "3",
            &keys::log(id),
            &keys::meta(id),
            &keys::idempotency(id),
            &log.last.to_string(),
            &entry.cursor.to_string(),
            entry.kind.as_str(),
            NOW,
            &entry.cursor.seq.to_string(),
            &keys::live(0, id),
            // Idempotency-Key, answer, producer, epoch: none of them is given.
            "",
            "",
            "1024",
            "",
            "0",
            "256",
            "PUBLISH",
            // No status.
            "",
            &entry.cursor.seq.to_string(),
            // The word of the request: another one for each.
            &entry.cursor.to_string(),
            "16",
            &entry.cursor.to_string(),
            &entry.payload,
        ];
        write_command(&mut self.command, &words);
        log.last = entry.cursor;
        // The command has a few hundred bytes, and the one before is answered, so the socket has room.
        Ok(self.socket.write_all(&self.command)?)
    }

    /// Whether the answer has arrived. It must confirm the append. An answer this short arrives whole.
    fn is_done(&mut self) -> Result<bool, Error> {
        let mut answer = [0; 512];
        match self.socket.read(&mut answer) {
            Ok(count) if &answer[..count] == DONE => Ok(true),
            Ok(count) => {
                let said = String::from_utf8_lossy(&answer[..count]).into_owned();
                Err(Error::Answer(format!("the script answered {said:?}")))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
