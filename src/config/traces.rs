//! The settings of traces. Their names and meanings are OpenTelemetry's and not the bus's, and so is what becomes of a value that
//! cannot be used: it is said and left aside, since clusters set these variables for everything that runs in them. docs/tracing.md
//! lists them.

use std::{collections::HashMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use intent_bus_protocol::canonical::percent_decode;
use secrecy::SecretString;

/// The variables that are read. Those of secrets can be read from a file, too: `NAME_FILE`.
pub const NAMES: &[&str] = &[
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
];

/// Where traces go and which are recorded.
#[derive(Clone, Default)]
pub struct Traces {
    /// The collector. None: no traces.
    pub collector: Option<Collector>,
    /// What was set and cannot be used, in sentences.
    pub complaints: Vec<String>,
}

/// A collector and what it gets.
#[derive(Clone)]
pub struct Collector {
    /// Its URL; with HTTP the whole of it, path included.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Sent with each request. They often hold a token.
    pub headers: Vec<(String, SecretString)>,
    /// For one request.
    pub timeout: Duration,
    /// Compress by gzip.
    pub gzip: bool,
    /// A file with the authorities that it is trusted by, in place of the public ones.
    pub certificate: Option<PathBuf>,
    /// What the spans say of this process.
    pub resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// How spans wait.
    pub queue: Queue,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP by gRPC.
    Grpc,
    /// OTLP by HTTP, in protobuf.
    Http,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Those that the caller records, and no others that the caller has begun.
    pub parent_based: bool,
    /// Of all others, this share: 0 to 1.
    pub ratio: f64,
}

/// How spans wait to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Longest time that a span waits for others.
    pub delay: Duration,
    /// Spans that may wait; more are dropped.
    pub size: usize,
    /// Spans in one request.
    pub batch: usize,
    /// Longest time for sending a batch, with its repetitions.
    pub timeout: Duration,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the headers nor the URL, which may hold a password.
        f.debug_struct("Traces").field("on", &self.collector.is_some()).finish_non_exhaustive()
    }
}

/// Whether a variable holds what must not be shown. A URL may have a password in it.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    name.ends_with("_HEADERS") || name.ends_with("_ENDPOINT")
}

/// Reads the settings.
#[allow(clippy::implicit_hasher, reason = "there is one caller with one kind of map")]
#[must_use]
pub fn read(environment: &HashMap<String, String>) -> Traces {
    let mut reader = Reader { environment, complaints: Vec::new() };
    let collector = reader.collector();
    Traces { collector, complaints: reader.complaints }
}

struct Reader<'a> {
    environment: &'a HashMap<String, String>,
    complaints: Vec<String>,
}

impl<'a> Reader<'a> {
    fn collector(&mut self) -> Option<Collector> {
        if self.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        match self.text("OTEL_TRACES_EXPORTER") {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(_) => self.complain("OTEL_TRACES_EXPORTER", "must be otlp or none; otlp is used"),
        }
        let protocol = self.protocol();
        Some(Collector {
            endpoint: self.endpoint(protocol)?,
            protocol,
            headers: self.headers(),
            timeout: self.millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
            gzip: self.gzip(),
            certificate: self.either("CERTIFICATE").map(|(_, path)| path.into()),
            resource: self.resource(),
            sampler: self.sampler(),
            queue: self.queue(),
        })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The setting for traces, or that for everything.
    fn either(&self, end: &str) -> Option<(String, &'a str)> {
        [format!("OTEL_EXPORTER_OTLP_TRACES_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")]
            .into_iter()
            .find_map(|name| self.text(&name).map(|text| (name, text)))
    }

    fn complain(&mut self, name: &str, what: &str) {
        self.complaints.push(format!("{name} {what}."));
    }

    fn protocol(&mut self) -> Protocol {
        match self.either("PROTOCOL") {
            Some((_, "grpc")) => Protocol::Grpc,
            None | Some((_, "http/protobuf")) => Protocol::Http,
            Some((name, _)) => {
                self.complain(&name, "must be grpc or http/protobuf; http/protobuf is used");
                Protocol::Http
            }
        }
    }

    /// By HTTP, the URL for everything gets the path of traces; that for traces stands as it is.
    fn endpoint(&mut self, protocol: Protocol) -> Option<String> {
        let (name, url) = self.either("ENDPOINT")?;
        let is_url = url
            .split_once("://")
            .is_some_and(|(scheme, rest)| ["http", "https"].contains(&scheme) && !rest.starts_with('/'));
        if !is_url || http::Uri::from_str(url).is_err() {
            self.complain(
                &name,
                "must be a URL with http or https, such as http://collector:4318; there are no traces",
            );
            return None;
        }
        let whole = protocol == Protocol::Grpc || name.contains("_TRACES_");
        Some(if whole { url.to_owned() } else { format!("{}/v1/traces", url.trim_end_matches('/')) })
    }

    /// `name=value` pairs, parted by commas, percent-encoded.
    fn headers(&mut self) -> Vec<(String, SecretString)> {
        for name in ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"] {
            let from_file = self.text(&format!("{name}_FILE")).map(std::fs::read_to_string).transpose();
            let text = match (self.text(name), from_file) {
                (Some(text), _) => text.to_owned(),
                (None, Ok(Some(text))) => text,
                (None, Ok(None)) => continue,
                (None, Err(error)) => {
                    self.complain(&format!("{name}_FILE"), &format!("cannot be read ({error})"));
                    continue;
                }
            };
            let read = pairs(text.trim());
            let good = |(name, value): &(String, String)| {
                http::HeaderName::from_str(name).is_ok() && http::HeaderValue::from_str(value).is_ok()
            };
            if !read.as_ref().is_some_and(|read| read.iter().all(good)) {
                // Not what is wrong: the value is a secret.
                self.complain(name, "must be a list like name=value,name=value, percent-encoded; no headers are sent");
                return Vec::new();
            }
            return read.unwrap_or_default().into_iter().map(|(name, value)| (name, value.into())).collect();
        }
        Vec::new()
    }

    fn gzip(&mut self) -> bool {
        match self.either("COMPRESSION") {
            Some((_, "gzip")) => true,
            None | Some((_, "none")) => false,
            Some((name, _)) => {
                self.complain(&name, "must be gzip or none; none is used");
                false
            }
        }
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let text = self.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut attributes = pairs(text).unwrap_or_else(|| {
            self.complain(
                "OTEL_RESOURCE_ATTRIBUTES",
                "must be a list like name=value,name=value, percent-encoded; it is left aside",
            );
            Vec::new()
        });
        let given = |attributes: &[(String, String)], name: &str| attributes.iter().any(|(key, _)| key == name);
        if let Some(name) = self.text("OTEL_SERVICE_NAME") {
            attributes.retain(|(key, _)| key != "service.name");
            attributes.push(("service.name".to_owned(), name.to_owned()));
        } else if !given(&attributes, "service.name") {
            attributes.push(("service.name".to_owned(), "intent-bus".to_owned()));
        }
        if !given(&attributes, "service.version") {
            attributes.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        }
        if !given(&attributes, "service.instance.id") {
            attributes.push(("service.instance.id".to_owned(), uuid::Uuid::new_v4().to_string()));
        }
        attributes
    }

    fn sampler(&mut self) -> Sampler {
        let name = self.text("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let parent_based = name.starts_with("parentbased_");
        let ratio = match name.trim_start_matches("parentbased_") {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                self.complain(
                    "OTEL_TRACES_SAMPLER",
                    "must be always_on, always_off or traceidratio, or one of these after parentbased_; parentbased_always_on is used",
                );
                return Sampler { parent_based: true, ratio: 1.0 };
            }
        };
        Sampler { parent_based, ratio }
    }

    fn ratio(&mut self) -> f64 {
        let Some(text) = self.text("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
            self.complain("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1; 1 is used");
            1.0
        })
    }

    fn queue(&mut self) -> Queue {
        let size = self.count("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1 << 20);
        Queue {
            delay: self.millis("OTEL_BSP_SCHEDULE_DELAY", "", 5000),
            size,
            batch: self.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1 << 16).min(size),
            timeout: self.millis("OTEL_BSP_EXPORT_TIMEOUT", "", 30_000),
        }
    }

    fn count(&mut self, name: &str, default: usize, most: usize) -> usize {
        let Some(text) = self.text(name) else { return default };
        text.parse().ok().filter(|count| (1..=most).contains(count)).unwrap_or_else(|| {
            self.complain(name, &format!("must be a whole number from 1 to {most}; {default} is used"));
            default
        })
    }

    fn millis(&mut self, name: &str, general: &str, default: u64) -> Duration {
        let set = [name, general].into_iter().find_map(|name| self.text(name).map(|text| (name, text)));
        let Some((name, text)) = set else { return Duration::from_millis(default) };
        let millis = text.parse().ok().filter(|millis| (1..=3_600_000).contains(millis)).unwrap_or_else(|| {
            self.complain(name, &format!("must be milliseconds, a whole number from 1 to 3600000; {default} is used"));
            default
        });
        Duration::from_millis(millis)
    }
}

/// `name=value` pairs, parted by commas, with percent-encoded values.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = String::from_utf8(percent_decode(value.trim()).into_owned()).ok()?;
            let name = name.trim();
            (!name.is_empty()).then(|| (name.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Traces {
        read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn at(pairs: &[(&str, &str)]) -> Collector {
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")];
        with(&[&endpoint[..], pairs].concat()).collector.unwrap()
    }

    #[test]
    fn there_are_no_traces_without_an_endpoint_or_when_they_are_switched_off() {
        assert!(with(&[]).collector.is_none());
        for (name, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            let off = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), (name, value)]);
            assert!(off.collector.is_none() && off.complaints.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_path_of_traces_is_added_where_the_standard_says_so() {
        assert_eq!(at(&[]).endpoint, "http://collector:4318/v1/traces");
        assert_eq!(at(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp/")]).endpoint, "https://c/otlp/v1/traces");
        assert_eq!(at(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/traces")]).endpoint, "http://c/traces");
        assert_eq!(at(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).endpoint, "http://collector:4318");
    }

    #[test]
    fn what_is_set_for_traces_goes_before_what_is_set_for_everything() {
        let collector = at(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20s3cr3t, b = c"),
        ]);
        assert_eq!((collector.protocol, collector.timeout), (Protocol::Grpc, Duration::from_secs(2)));
        let headers: Vec<_> =
            collector.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(headers, [("authorization", "Bearer s3cr3t"), ("b", "c")]);
    }

    #[test]
    fn the_service_has_a_name_a_version_and_an_id() {
        let named = |pairs: &[(&str, &str)], name: &str| {
            at(pairs).resource.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        assert_eq!(named(&[], "service.name").unwrap(), "intent-bus");
        assert!(named(&[], "service.version").is_some() && named(&[], "service.instance.id").is_some());
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.instance.id=7,x=a%2Cb");
        assert_eq!(named(&[attributes], "service.name").unwrap(), "a");
        assert_eq!(named(&[attributes], "x").unwrap(), "a,b");
        assert_eq!(named(&[attributes], "service.instance.id").unwrap(), "7");
        assert_eq!(named(&[attributes, ("OTEL_SERVICE_NAME", "b")], "service.name").unwrap(), "b");
    }

    #[test]
    fn samplers_have_the_names_of_the_standard() {
        for (name, argument, parent_based, ratio) in [
            ("always_on", "", false, 1.0),
            ("always_off", "0.5", false, 0.0),
            ("traceidratio", "0.25", false, 0.25),
            ("parentbased_always_on", "", true, 1.0),
            ("parentbased_always_off", "", true, 0.0),
            ("parentbased_traceidratio", "0.1", true, 0.1),
            ("", "", true, 1.0),
        ] {
            let sampler = at(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]).sampler;
            assert_eq!(sampler, Sampler { parent_based, ratio }, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_and_left_aside() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cr3t"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cr3t"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ] {
            let traces = with(&[endpoint, (name, value)]);
            assert!(traces.collector.is_some(), "{name}");
            assert_eq!(traces.complaints.len(), 1, "{name}: {:?}", traces.complaints);
            assert!(traces.complaints[0].starts_with(name) && !traces.complaints[0].contains("s3cr3t"), "{name}");
        }
        for bad in ["collector:4317", "ftp://collector", "http://", "http:///v1", "unix:/x"] {
            let traces = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]);
            assert!(traces.collector.is_none() && traces.complaints.len() == 1, "{bad}");
        }
    }
}
