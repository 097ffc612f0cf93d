//! A collector that speaks OTLP over HTTP.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ltm_tests::until;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A collector on a free port.
pub(crate) struct Collector {
    pub(crate) url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let taken = spans.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, taken.clone()));
            }
        });
        Self { url, spans }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").into()
    }

    /// The spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The first span of this name in this trace, which must come.
    pub(crate) async fn span(&self, trace_id: &str, name: &str) -> Span {
        let wanted = |span: &&Span| span.trace_id == trace_id && span.name == name;
        let spans = self
            .until(|spans| spans.iter().any(|span| wanted(&span)))
            .await;
        spans.iter().find(wanted).unwrap().clone()
    }

    /// Waits until the spans are so.
    pub(crate) async fn until(&self, so: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        until("the collector has the spans", async || {
            let spans = self.spans();
            if so(&spans) { Ok(spans) } else { Err(spans) }
        })
        .await
    }
}

async fn serve(stream: TcpStream, spans: Arc<Mutex<Vec<Span>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        assert_eq!(first.trim(), "POST /v1/traces HTTP/1.1");
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let request = ExportTraceServiceRequest::decode(&*body).unwrap();
        spans.lock().unwrap().extend(read(request));
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let text = |value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>| match value
        .and_then(|value| value.value)
    {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = Vec::new();
    for group in request.resource_spans {
        let attributes = group.resource.unwrap_or_default().attributes;
        let named = attributes.into_iter().find(|it| it.key == "service.name");
        let service = named.map_or(String::new(), |it| text(it.value));
        for span in group.scope_spans.into_iter().flat_map(|it| it.spans) {
            let attributes = span.attributes.into_iter();
            all.push(Span {
                service: service.clone(),
                name: span.name,
                kind: span.kind,
                trace_id: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                begin: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: attributes.map(|it| (it.key, text(it.value))).collect(),
            });
        }
    }
    all
}
