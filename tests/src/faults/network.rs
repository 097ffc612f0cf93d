//! A network that can fail: a TCP proxy.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What the network does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Weather {
    /// Bytes to the server are held back. Neither side is told.
    requests_held: bool,
    /// Bytes from the server are held back. Neither side is told.
    answers_held: bool,
    /// Every second message on Redis's channels is lost.
    messages_lost: bool,
    /// Each connection is cut after this many bytes from the server.
    answers_end_after: Option<usize>,
    /// The first bytes are replaced by the second in what the server sends.
    garbled: Option<(&'static str, &'static str)>,
    /// Connections that began in an earlier era are cut.
    era: u64,
    /// New connections are refused.
    refused: bool,
}

/// What a network has seen so far.
#[derive(Default)]
struct Seen {
    /// Connections that it refused.
    refused: AtomicUsize,
    /// Reads whose bytes it held back.
    held: AtomicUsize,
}

/// The faults in one direction.
struct Faults {
    held: bool,
    end_after: Option<usize>,
    garbled: Option<(&'static str, &'static str)>,
}

impl Weather {
    fn onward(&self) -> Faults {
        Faults {
            held: self.requests_held,
            end_after: None,
            garbled: None,
        }
    }

    fn backward(&self) -> Faults {
        Faults {
            held: self.answers_held,
            end_after: self.answers_end_after,
            garbled: self.garbled,
        }
    }
}

/// A proxy in front of one address. It stops when the value is dropped.
pub struct Network {
    address: String,
    weather: watch::Sender<Weather>,
    target: watch::Sender<Arc<str>>,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Network {
    /// Starts a proxy to `target`.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let weather = watch::Sender::new(Weather {
            requests_held: false,
            answers_held: false,
            messages_lost: false,
            answers_end_after: None,
            garbled: None,
            era: 0,
            refused: false,
        });
        let target = watch::Sender::new(Arc::<str>::from(target));
        let seen = Arc::new(Seen::default());
        let (leads_to, now, sees) = (target.subscribe(), weather.subscribe(), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if now.borrow().refused {
                    sees.refused.fetch_add(1, Ordering::SeqCst);
                } else {
                    let target = leads_to.borrow().clone();
                    tokio::spawn(carry(client, target, now.clone(), sees.clone()));
                }
            }
        });
        Self {
            address,
            weather,
            target,
            seen,
            task,
        }
    }

    /// Sends new connections to another address.
    pub fn lead_to(&self, target: &str) {
        self.target.send_replace(target.into());
    }

    /// The address that it listens on.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Holds back all bytes. Neither side is told.
    pub fn hold(&self) {
        self.weather.send_modify(|weather| {
            (weather.requests_held, weather.answers_held) = (true, true);
        });
    }

    /// Holds back the bytes from the server. Neither side is told.
    pub fn hold_answers(&self) {
        self.weather
            .send_modify(|weather| weather.answers_held = true);
    }

    /// Loses every second message on Redis's channels. Neither side is told.
    pub fn lose_messages(&self) {
        self.weather
            .send_modify(|weather| weather.messages_lost = true);
    }

    /// Cuts each connection after this many bytes from the server.
    pub fn cut_after(&self, bytes: usize) {
        self.weather
            .send_modify(|weather| weather.answers_end_after = Some(bytes));
    }

    /// Replaces bytes from the server by as many others, if they arrive in one piece.
    pub fn garble(&self, bytes: &'static str, by: &'static str) {
        assert_eq!(bytes.len(), by.len(), "the frame keeps its length");
        self.weather
            .send_modify(|weather| weather.garbled = Some((bytes, by)));
    }

    /// Lets all bytes through again.
    pub fn release(&self) {
        self.weather.send_modify(|weather| {
            (weather.requests_held, weather.answers_held) = (false, false);
            weather.messages_lost = false;
            (weather.answers_end_after, weather.garbled) = (None, None);
        });
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.era += 1);
    }

    /// Refuses new connections, or accepts them again.
    pub fn refuse(&self, refused: bool) {
        self.weather
            .send_modify(|weather| weather.refused = refused);
    }

    /// How many connections it has refused so far.
    pub fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::SeqCst)
    }

    /// How often it has held bytes back so far.
    pub fn held(&self) -> usize {
        self.seen.held.load(Ordering::SeqCst)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn carry(
    client: TcpStream,
    target: Arc<str>,
    mut weather: watch::Receiver<Weather>,
    seen: Arc<Seen>,
) {
    let Ok(server) = TcpStream::connect(&*target).await else {
        return;
    };
    let era = weather.borrow().era;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let there = pump(
        from_client,
        to_server,
        weather.clone(),
        Weather::onward,
        &seen,
    );
    let back = pump(
        from_server,
        to_client,
        weather.clone(),
        Weather::backward,
        &seen,
    );
    tokio::select! {
        // A connection that is cut carries nothing, even if the network is released in the same moment.
        biased;
        _ = weather.wait_for(|now| now.era != era) => {}
        () = there => {}
        () = back => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    faults: fn(&Weather) -> Faults,
    seen: &Seen,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut lose = false;
    let mut carried = 0;
    while let Ok(count) = from.read(&mut buffer).await {
        if faults(&weather.borrow()).held {
            seen.held.fetch_add(1, Ordering::SeqCst);
        }
        if weather.wait_for(|now| !faults(now).held).await.is_err() || count == 0 {
            return;
        }
        let Faults {
            end_after, garbled, ..
        } = faults(&weather.borrow());
        if let Some((bytes, by)) = garbled {
            garble(&mut buffer[..count], bytes.as_bytes(), by.as_bytes());
        }
        let left = end_after.unwrap_or(usize::MAX).saturating_sub(carried);
        if left < count {
            // An error does not matter: the connection is cut now in any case.
            let _ = to.write_all(&buffer[..left]).await;
            return;
        }
        carried += count;
        let mut bytes = &buffer[..count];
        if weather.borrow().messages_lost {
            while let Some((message, rest)) = split_message(bytes) {
                lose = !lose;
                if !lose && to.write_all(message).await.is_err() {
                    return;
                }
                bytes = rest;
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

fn garble(all: &mut [u8], bytes: &[u8], by: &[u8]) {
    let places = all.windows(bytes.len()).enumerate();
    let found = places.filter(|(_, part)| *part == bytes);
    let found: Vec<usize> = found.map(|(place, _)| place).collect();
    for place in found {
        all[place..place + by.len()].copy_from_slice(by);
    }
}

/// The channel message at the beginning of these bytes, if it is complete, and the rest (RESP3: a push of three bulk
/// strings).
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(b">3\r\n$7\r\nmessage\r\n")?;
    for _ in 0..2 {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let digits = std::str::from_utf8(rest[..end].strip_prefix(b"$")?).ok()?;
        rest = rest.get(end + 2 + digits.parse::<usize>().ok()? + 2..)?;
    }
    Some(bytes.split_at(bytes.len() - rest.len()))
}
