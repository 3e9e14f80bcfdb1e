//! The HTTP client to peers: TLS, our token, bounded answers, no surprises.
//!
//! Threat model: an address from a peer may point at our own network (server-side request forgery).
//! Only `https` is followed, `http` only to loopback and only where the configuration allows it, private
//! addresses only where it allows them, by literal or by name ([`super::resolve`]: at the moment of connecting);
//! redirects are never followed; answers are bounded in size and time.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use flate2::write::GzDecoder;
use reqwest::{Method, StatusCode, Url};
use rustls::ClientConfig;

use tidm_space::limits::{MESSAGE_BYTES, TAG_BYTES};

use super::resolve::{self, LeadsInside, Lookup, Resolver, is_private};

/// A peer that takes longer to answer a message is tried again later.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// A body that says nothing for this long has stalled: jobs resume where it stopped.
const SILENCE: Duration = Duration::from_secs(30);

/// Which addresses may be called.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// `http:` to loopback.
    pub insecure_http: bool,
    /// 10/8, 172.16/12, 192.168/16, 127/8, link-local and their IPv6 kin.
    pub private_addresses: bool,
}

#[derive(Clone)]
pub struct Client {
    /// Replaced with our certificate; what is under way ends with the one that it began with.
    ends: Arc<RwLock<Ends>>,
    reach: Reach,
    resolver: Resolver,
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("the address {url} is not called: {why}")]
    Address { url: String, why: &'static str },
    #[error("no answer from {host}: {why}")]
    NoAnswer { host: String, why: String },
    #[error("the answer of {host} is larger than {MESSAGE_BYTES} bytes")]
    TooLarge { host: String },
}

/// What is asked.
#[derive(Debug, Default)]
pub struct Ask<'a> {
    /// Goes into `Authorization`.
    pub authorization: Option<&'a str>,
    pub json: Option<String>,
    /// Answered only if it is another one now.
    pub if_none_match: Option<&'a str>,
    pub headers: Vec<(&'static str, String)>,
}

/// A bounded answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// `Link` header, for paged lists.
    pub link: Option<String>,
    /// `ETag`, where it is a bounded one.
    pub tag: Option<String>,
}

impl Client {
    pub fn new(tls: Arc<ClientConfig>, reach: Reach) -> Result<Self, CallError> {
        Self::asking(tls, reach, resolve::system())
    }

    /// The same, with another who is asked for the addresses of names.
    pub fn asking(tls: Arc<ClientConfig>, reach: Reach, lookup: Lookup) -> Result<Self, CallError> {
        let resolver = Resolver::new(lookup, reach.private_addresses);
        let ends = Ends::new(&tls, &resolver)?;
        Ok(Self { ends: Arc::new(RwLock::new(ends)), reach, resolver })
    }

    /// Calls are made with this from now on, on connections of their own.
    pub fn replace(&self, tls: &ClientConfig) -> Result<(), CallError> {
        let ends = Ends::new(tls, &self.resolver)?;
        *self.ends.write().unwrap_or_else(PoisonError::into_inner) = ends;
        Ok(())
    }

    fn http(&self) -> reqwest::Client {
        self.ends.read().unwrap_or_else(PoisonError::into_inner).http.clone()
    }

    fn uploads(&self) -> reqwest::Client {
        self.ends.read().unwrap_or_else(PoisonError::into_inner).uploads.clone()
    }

    /// The checked form of an address, or why it is not called.
    pub fn check(&self, url: &str) -> Result<Url, CallError> {
        let refuse = |why| CallError::Address { url: shown(url), why };
        let parsed = Url::parse(url).map_err(|_| refuse("it is not a URL"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refuse("it carries a password"));
        }
        let host = parsed.host_str().ok_or_else(|| refuse("it names no host"))?;
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let loopback = host == "localhost"
            || host.ends_with(".localhost")
            || literal.is_some_and(|it| it.is_loopback());
        match parsed.scheme() {
            "https" => {}
            "http" if loopback && self.reach.insecure_http => {}
            "http" => return Err(refuse("plain http is only for loopback with insecure_http")),
            _ => return Err(refuse("only https is spoken")),
        }
        if !self.reach.private_addresses && (loopback || literal.is_some_and(is_private)) {
            return Err(refuse("it is a private address; peers.allow_private_addresses is off"));
        }
        Ok(parsed)
    }

    /// [`Self::check`], and where its name leads.
    pub async fn check_whole(&self, url: &str) -> Result<(), CallError> {
        let url = self.check(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        self.check_resolved(&url, &host).await
    }

    /// One call with a bounded answer; `authorization` is the header's whole value.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&str>,
        json: Option<String>,
    ) -> Result<Answer, CallError> {
        self.ask(method, url, Ask { authorization, json, ..Ask::default() }).await
    }

    /// As [`Self::call`], with all that may be said. Answers may come compressed; the bound is for what they hold.
    pub async fn ask(&self, method: Method, url: &str, it: Ask<'_>) -> Result<Answer, CallError> {
        let url = self.check(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let address = url.to_string();
        let mut request =
            self.http().request(method, url).timeout(ANSWER).header("accept-encoding", "gzip");
        if let Some(value) = it.authorization {
            request = request.header("authorization", value);
        }
        if let Some(tag) = it.if_none_match {
            request = request.header("if-none-match", tag);
        }
        for (name, value) in it.headers {
            request = request.header(name, value);
        }
        if let Some(json) = it.json {
            request = request.header("content-type", "application/json").body(json);
        }
        let no_answer =
            |why: reqwest::Error| CallError::NoAnswer { host: host.clone(), why: root_cause(&why) };
        let mut response = request.send().await.map_err(|why| {
            if resolve::led_inside(&why) { inside(address) } else { no_answer(why) }
        })?;
        let status = response.status();
        let said = |name: &str| {
            response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned)
        };
        let (link, tag) = (said("link"), said("etag").filter(|it| it.len() <= TAG_BYTES));
        let mut body = match said("content-encoding").as_deref() {
            None | Some("identity" | "") => Body::Plain(Vec::new()),
            Some("gzip" | "x-gzip") => Body::Gzip(Box::new(GzDecoder::new(Bounded(Vec::new())))),
            Some(other) => {
                let why = format!("it answers in the encoding {other:.20}");
                return Err(CallError::NoAnswer { host, why });
            }
        };
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            body.take(&chunk).map_err(|why| why.of(&host))?;
        }
        Ok(Answer { status, body: body.end().map_err(|why| why.of(&host))?, link, tag })
    }

    /// For large bodies: the caller bounds and streams. That an address is not called is told before; what counts is
    /// where its name leads when it is.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        Ok(self.http().request(method, self.led_outside(url).await?))
    }

    /// For large bodies that we send: the caller streams, and gives up.
    pub async fn upload(
        &self,
        method: Method,
        url: &str,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        Ok(self.uploads().request(method, self.led_outside(url).await?))
    }

    async fn led_outside(&self, url: &str) -> Result<Url, CallError> {
        let url = self.check(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        self.check_resolved(&url, &host).await?;
        Ok(url)
    }

    /// For libraries that speak HTTP themselves: the same TLS, no redirects, no proxies. Who uses it checks the address
    /// ([`Self::check_whole`]).
    pub fn plain(&self) -> reqwest::Client {
        self.uploads()
    }

    /// A name must not lead into the private network either.
    async fn check_resolved(&self, url: &Url, host: &str) -> Result<(), CallError> {
        // A literal was looked at already.
        if self.reach.private_addresses || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        match self.resolver.addresses(host).await {
            Ok(_) => Ok(()),
            Err(why) if why.is::<LeadsInside>() => Err(inside(shown(url.as_str()))),
            Err(why) => Err(CallError::NoAnswer { host: host.to_owned(), why: why.to_string() }),
        }
    }
}

/// An address as messages and logs may name it: what a query holds may open something (signed addresses of buckets).
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn inside(url: String) -> CallError {
    CallError::Address { url, why: "its name leads to a private address" }
}

/// The two ways in which we call.
struct Ends {
    http: reqwest::Client,
    /// For bodies that we send: how long an answer may be silent counts from their end, which reqwest cannot say.
    uploads: reqwest::Client,
}

impl Ends {
    fn new(tls: &ClientConfig, resolver: &Resolver) -> Result<Self, CallError> {
        let builder = || {
            reqwest::Client::builder()
                .use_preconfigured_tls(tls.clone())
                .dns_resolver(Arc::new(resolver.clone()))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT)
                .pool_max_idle_per_host(64)
                .tcp_nodelay(true)
                .no_proxy()
        };
        let failed = |why: reqwest::Error| CallError::NoAnswer {
            host: "this node's own client".to_owned(),
            why: why.to_string(),
        };
        Ok(Self {
            http: builder().read_timeout(SILENCE).build().map_err(failed)?,
            uploads: builder().build().map_err(failed)?,
        })
    }
}

/// A body as it comes in; what a compressed one holds is bounded while it is unpacked.
enum Body {
    Plain(Vec<u8>),
    Gzip(Box<GzDecoder<Bounded>>),
}

struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MESSAGE_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
enum Spoilt {
    TooLarge,
    Damaged,
}

impl Spoilt {
    fn of(&self, host: &str) -> CallError {
        let host = host.to_owned();
        match self {
            Self::TooLarge => CallError::TooLarge { host },
            Self::Damaged => {
                CallError::NoAnswer { host, why: "its compressed answer is damaged".to_owned() }
            }
        }
    }
}

impl From<std::io::Error> for Spoilt {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            Self::TooLarge
        } else {
            Self::Damaged
        }
    }
}

impl Body {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Spoilt> {
        match self {
            Self::Plain(body) => {
                if body.len() + chunk.len() > MESSAGE_BYTES {
                    return Err(Spoilt::TooLarge);
                }
                body.extend_from_slice(chunk);
                Ok(())
            }
            Self::Gzip(body) => Ok(body.write_all(chunk)?),
        }
    }

    fn end(self) -> Result<Vec<u8>, Spoilt> {
        match self {
            Self::Plain(body) => Ok(body),
            Self::Gzip(body) => Ok(body.finish()?.0),
        }
    }
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    fn client(insecure_http: bool, private_addresses: bool) -> Client {
        let tls = crate::tls::client(crate::tls::public_roots(), None).unwrap();
        Client::new(tls, Reach { insecure_http, private_addresses }).unwrap()
    }

    #[test]
    fn which_addresses_are_called() {
        for (url, http, private, ok) in [
            ("https://plant.example/dsp", false, false, true),
            ("http://plant.example/dsp", true, true, false),
            ("http://localhost:1/dsp", true, true, true),
            ("http://localhost:1/dsp", false, true, false),
            ("https://localhost:1/dsp", false, false, false),
            ("https://127.0.0.1/x", false, false, false),
            ("https://[::1]/x", false, false, false),
            ("https://[::ffff:10.0.0.1]/x", false, false, false),
            ("https://169.254.169.254/latest", false, false, false),
            ("https://10.1.2.3/x", false, true, true),
            ("https://user:pw@plant.example/", false, true, false),
            ("file:///etc/passwd", true, true, false),
            ("ftp://plant.example/", true, true, false),
            ("no url", true, true, false),
        ] {
            assert_eq!(client(http, private).check(url).is_ok(), ok, "{url}");
        }
    }

    /// A host that only listens, and who connected to it.
    async fn listening() -> (u16, Arc<AtomicU32>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
        let counted = count.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Relaxed);
            }
        });
        (port, count)
    }

    /// A resolver that says these, one answer after the other, and the last one from then on.
    fn changing(answers: &[&[&str]]) -> (Lookup, Arc<AtomicU32>) {
        let answers: Vec<Vec<IpAddr>> =
            answers.iter().map(|it| it.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let lookup: Lookup = Arc::new(move |_| {
            let turn = counted.fetch_add(1, Relaxed) as usize;
            let found = answers[turn.min(answers.len() - 1)].clone();
            Box::pin(async move { Ok(found) })
        });
        (lookup, asked)
    }

    /// Whoever owns a name may have it lead elsewhere each time it is asked for: nobody inside is ever connected to.
    #[tokio::test]
    async fn names_that_change_their_mind_lead_nowhere_inside() {
        let (port, reached) = listening().await;
        let closed = Reach { insecure_http: false, private_addresses: false };
        let tls = || crate::tls::client(crate::tls::public_roots(), None).unwrap();
        let url = format!("https://rebinding.example:{port}/x");
        // 192.0.2.0/24 is nobody (RFC 5737): the call goes there, and not to where the name leads next.
        for (answers, refused) in [
            (&[&["192.0.2.1"][..], &["127.0.0.1"]][..], false),
            (&[&["127.0.0.1"], &["192.0.2.1"]], true),
            (&[&["192.0.2.1", "127.0.0.1"]], true),
            (&[&["::ffff:127.0.0.1"]], true),
            (&[&["::1"]], true),
        ] {
            let (lookup, asked) = changing(answers);
            let client = Client::asking(tls(), closed, lookup).unwrap();
            let call = client.call(Method::GET, &url, None, None);
            match tokio::time::timeout(Duration::from_secs(1), call).await {
                Ok(Err(CallError::Address { .. })) => assert!(refused, "{answers:?}"),
                Ok(Err(CallError::NoAnswer { .. })) | Err(_) => assert!(!refused, "{answers:?}"),
                Ok(other) => panic!("{answers:?}: {other:?}"),
            }
            assert_eq!(asked.load(Relaxed), 1, "a name is asked for once: {answers:?}");
        }
        // Told early that all is well, a stream is called where its name leads by then.
        let (lookup, _) = changing(&[&["192.0.2.1"], &["127.0.0.1"]]);
        let client = Client::asking(tls(), closed, lookup).unwrap();
        let request = client.request(Method::GET, &url).await.unwrap();
        let failed = request.send().await.unwrap_err();
        assert!(resolve::led_inside(&failed), "{failed:?}");
        assert_eq!(reached.load(Relaxed), 0);
        // The seam is the one that calls go through: where private addresses are allowed, it leads there.
        let (lookup, asked) = changing(&[&["127.0.0.1"]]);
        let open = Reach { private_addresses: true, ..closed };
        let client = Client::asking(tls(), open, lookup).unwrap();
        let call = client.call(Method::GET, &url, None, None);
        drop(tokio::time::timeout(Duration::from_secs(1), call).await);
        assert_eq!((reached.load(Relaxed), asked.load(Relaxed)), (1, 1));
    }

    #[test]
    fn what_opens_a_signed_address_is_not_told() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let url = "https://10.0.0.1/bucket/object?X-Amz-Signature=5ec2e7";
        let told = client(false, false).check(url).unwrap_err().to_string();
        assert!(told.contains("10.0.0.1/bucket/object") && !told.contains("5ec2e7"), "{told}");
    }

    #[test]
    fn compressed_answers_are_bounded_by_what_they_hold() {
        let packed = |bytes: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        let read = |packed: &[u8]| {
            let mut body = Body::Gzip(Box::new(GzDecoder::new(Bounded(Vec::new()))));
            for chunk in packed.chunks(1000) {
                body.take(chunk)?;
            }
            body.end()
        };
        assert_eq!(read(&packed(b"text")), Ok(b"text".to_vec()));
        assert_eq!(read(&packed(&vec![7; MESSAGE_BYTES])).map(|it| it.len()), Ok(MESSAGE_BYTES));
        let bomb = packed(&vec![0; 64 << 20]);
        assert!(bomb.len() < MESSAGE_BYTES);
        assert_eq!(read(&bomb), Err(Spoilt::TooLarge));
        assert_eq!(read(b"not packed"), Err(Spoilt::Damaged));
        assert_eq!(read(&packed(b"cut off")[..12]), Err(Spoilt::Damaged));
    }
}
