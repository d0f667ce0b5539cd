//! A collector of traces in this process: OTLP by gRPC or by HTTP, on a port of its own. It keeps what it gets, or hangs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span as OtlpSpan,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tonic::{
    Request, Response, Status,
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

/// How long spans may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector. It ends with this value.
pub(crate) struct Collector {
    kept: Arc<Kept>,
    settings: Vec<(&'static str, String)>,
    task: JoinHandle<()>,
}

/// What a collector does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Keeps it.
    Takes,
    /// Never answers.
    Hangs,
}

struct Kept {
    manner: Manner,
    spans: Mutex<Vec<Span>>,
    requests: Mutex<Vec<HashMap<String, String>>>,
    more: Notify,
}

/// A span with what a test asks of it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Its name.
    pub(crate) name: String,
    /// As in `traceparent`.
    pub(crate) trace: String,
    /// As in `traceparent`.
    pub(crate) id: String,
    /// Empty: none.
    pub(crate) parent: String,
    /// `traceparent`s of the spans that it is linked to.
    pub(crate) links: Vec<(String, String)>,
    /// By the number of OTLP: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub(crate) kind: i32,
    /// It has failed.
    pub(crate) failed: bool,
    /// Attributes as text.
    pub(crate) attributes: HashMap<String, String>,
    /// Those of the process.
    pub(crate) resource: HashMap<String, String>,
    /// All of it, as text.
    pub(crate) whole: String,
}

impl Collector {
    /// One that is spoken to by gRPC.
    pub(crate) async fn grpc(manner: Manner) -> Self {
        Self::start(manner, "grpc").await
    }

    /// One that is spoken to by HTTP.
    pub(crate) async fn http(manner: Manner) -> Self {
        Self::start(manner, "http/protobuf").await
    }

    async fn start(manner: Manner, protocol: &'static str) -> Self {
        let kept = Arc::new(Kept { manner, spans: Mutex::default(), requests: Mutex::default(), more: Notify::new() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            if protocol == "grpc" {
                let service = TraceServiceServer::new(Service(serving)).accept_compressed(CompressionEncoding::Gzip);
                let served = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
                served.await.expect("the collector has failed");
            } else {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, Arc::clone(&serving)));
                }
            }
        });
        let settings = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ];
        Self { kept, settings, task }
    }

    /// What a replica has to be told to send its spans here.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// The same, with others.
    pub(crate) fn settings_with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [self.settings(), more.to_vec()].concat()
    }

    /// Waits for spans until there are some that will do, and gives all that have come.
    pub(crate) async fn wait_for(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let wait = async {
            loop {
                let more = self.kept.more.notified();
                let spans = self.spans();
                if enough(&spans) {
                    return spans;
                }
                more.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            let names: Vec<String> = self.spans().into_iter().map(|span| span.name).collect();
            panic!("the spans have not come. These have: {names:?}")
        })
    }

    /// Waits for a span of this name, and gives the first.
    pub(crate) async fn span(&self, name: &str) -> Span {
        let spans = self.wait_for(|spans| spans.iter().any(|span| span.name == name)).await;
        spans.into_iter().find(|span| span.name == name).expect("it was there")
    }

    /// Those that have come.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().expect("the spans").clone()
    }

    /// Waits until somebody sends something, and gives the headers.
    pub(crate) async fn request(&self) -> HashMap<String, String> {
        let wait = async {
            loop {
                let more = self.kept.more.notified();
                if let Some(first) = self.kept.requests.lock().expect("the requests").first() {
                    return first.clone();
                }
                more.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("nobody has sent anything")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    async fn keep(&self, headers: HashMap<String, String>, sent: ExportTraceServiceRequest) {
        self.requests.lock().expect("the requests").push(headers);
        if self.manner == Manner::Takes {
            let spans = sent.resource_spans.iter().flat_map(|of| {
                let resource = of.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
                of.scope_spans.iter().flat_map(|of| &of.spans).map(move |span| read(span, &resource))
            });
            self.spans.lock().expect("the spans").extend(spans);
        }
        self.more.notify_waiters();
        if self.manner == Manner::Hangs {
            std::future::pending::<()>().await;
        }
    }
}

struct Service(Arc<Kept>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
        let headers = headers.collect();
        self.0.keep(headers, request.into_inner()).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Answers the requests of one connection.
async fn answer(mut stream: TcpStream, kept: Arc<Kept>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await.unwrap_or_default() == 0 {
                return;
            }
        };
        let head = String::from_utf8(read.drain(..end).collect()).expect("a head");
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        let headers: HashMap<String, String> =
            pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let length: usize = headers["content-length"].parse().expect("a length");
        while read.len() < length {
            assert!(stream.read_buf(&mut read).await.unwrap_or_default() > 0, "a body breaks off");
        }
        let body: Vec<u8> = read.drain(..length).collect();
        kept.keep(headers, ExportTraceServiceRequest::decode(&body[..]).expect("protobuf")).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

fn read(span: &OtlpSpan, resource: &HashMap<String, String>) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Span {
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        kind: span.kind,
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        attributes: texts(&span.attributes),
        resource: resource.clone(),
        whole: format!("{span:?} {resource:?}"),
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
