//! An AG-UI agent whose answers the test writes, event by event.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use crate::LIMIT;

/// The most runs that wait to be taken.
const RUNS: usize = 64;

/// An agent on a port of its own.
pub struct Agent {
    address: String,
    asked: mpsc::Receiver<AgentRun>,
}

/// A run that the agent was asked for.
pub struct AgentRun {
    /// The head of the request.
    pub head: String,
    /// The `RunAgentInput`.
    pub input: Value,
    stream: TcpStream,
}

impl Agent {
    /// Starts an agent.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, asked) = mpsc::channel(RUNS);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    if let Some(run) = AgentRun::read(stream).await {
                        let _ = sender.send(run).await;
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/agui", self.address)
    }

    /// The next run that it is asked for.
    pub async fn asked(&mut self) -> AgentRun {
        let asked = timeout(LIMIT, self.asked.recv()).await;
        asked.expect("the agent is asked").expect("it listens")
    }

    /// Whether it was asked for a run that the test has not taken.
    pub fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }
}

impl AgentRun {
    async fn read(mut stream: TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "));
        let length: usize = length?.trim().parse().ok()?;
        while bytes.len() < end + length {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let input = serde_json::from_slice(&bytes[end..]).ok()?;
        Some(Self {
            head,
            input,
            stream,
        })
    }

    /// Sends bytes as they are. False if the client has left.
    pub async fn raw(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).await.is_ok()
    }

    /// Begins an answer with events.
    pub async fn begin(&mut self) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(self.raw(head).await);
        let started = json!({
            "type": "RUN_STARTED", "threadId": self.input["threadId"], "runId": self.input["runId"],
        });
        self.event(&started).await;
    }

    /// Sends an event.
    pub async fn event(&mut self, event: &Value) {
        assert!(self.data(&event.to_string()).await, "the recorder listens");
    }

    /// Sends the data of an event. False if the client has left.
    pub async fn data(&mut self, data: &str) -> bool {
        let event = format!("data: {data}\n\n");
        self.raw(&format!("{:x}\r\n{event}\r\n", event.len())).await
    }

    /// Begins a message of the assistant.
    pub async fn begin_message(&mut self, id: &str) {
        let start = json!({"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"});
        self.event(&start).await;
    }

    /// Sends a whole message of the assistant, a piece for each word.
    pub async fn say(&mut self, id: &str, words: &[&str]) {
        let of = |kind: &str| json!({"type": kind, "messageId": id});
        self.begin_message(id).await;
        for word in words {
            let mut piece = of("TEXT_MESSAGE_CONTENT");
            piece["delta"] = (*word).into();
            self.event(&piece).await;
        }
        self.event(&of("TEXT_MESSAGE_END")).await;
    }

    /// Finishes the run and the answer.
    pub async fn finish(mut self) {
        let finished = json!({
            "type": "RUN_FINISHED", "threadId": self.input["threadId"], "runId": self.input["runId"],
        });
        self.event(&finished).await;
        self.raw("0\r\n\r\n").await;
    }

    /// Waits until the client has left.
    pub async fn left(mut self) {
        let mut rest = Vec::new();
        let left = timeout(LIMIT, self.stream.read_to_end(&mut rest)).await;
        // A reset is an end, too.
        let _ = left.expect("the recorder leaves");
    }
}
