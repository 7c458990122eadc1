//! Asking a web server.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::error::DownloadError;

/// The most addresses that one may lead through.
const MAX_REDIRECTS: u32 = 10;

/// How long a server is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until there is a connection.
    pub(super) connect: Duration,
    /// Until something more comes.
    pub(super) stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), stall: Duration::from_secs(30) }
    }
}

/// Where something is to be had: an address with `https` or `http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Uri);

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, DownloadError> {
        let uri: Option<Uri> = text.parse().ok();
        uri.filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some())
            .map(Self)
            .ok_or_else(|| DownloadError::Address(text.to_owned()))
    }

    /// The file called `name` beside it. The name is a plain one.
    pub(super) fn beside(&self, name: &str) -> Result<Self, DownloadError> {
        let mut parts = self.0.clone().into_parts();
        let folder = self.0.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = format!("{folder}/{name}");
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).map(Self).map_err(|_| DownloadError::Address(path))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether it is on this computer.
    pub(super) fn is_local(&self) -> bool {
        let host = self.host();
        let number = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || number.is_ok_and(|number| number.is_loopback())
    }

    pub(super) fn host(&self) -> String {
        self.0.host().unwrap_or_default().to_owned()
    }

    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// What is asked of servers for one download.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
}

impl Client {
    /// Asks as is right for what comes from `address`: with the system's certificates, over the proxy
    /// that the environment names, and only encrypted if it is.
    pub(super) fn new(address: &Address, patience: Patience) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .https_only(address.is_encrypted())
            .max_redirects(MAX_REDIRECTS)
            .max_redirects_will_error(true)
            .http_status_as_error(false)
            .user_agent(concat!("Berth/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall))
            .timeout_per_write(Some(patience.stall));
        if address.is_local() {
            config = config.proxy(None);
        }
        Self { agent: config.build().into() }
    }

    /// Ends what is under way on other threads.
    pub(super) fn interrupt(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks for `address`, from byte `from` on if what is there is still what `unless_changed` names
    /// (RFC 9110 §13.1.5 and §14.2).
    pub(super) fn get(
        &self,
        address: &Address,
        resume: Option<(u64, &str)>,
    ) -> Result<Response<Body>, DownloadError> {
        let mut request = self.agent.get(&address.0);
        if let Some((from, validator)) = resume {
            request =
                request.header("Range", format!("bytes={from}-")).header("If-Range", validator);
        }
        request.call().map_err(|error| asking(address, error))
    }

    /// What there is at `address`, at most `limit` bytes.
    pub(super) fn read(&self, address: &Address, limit: u64) -> Result<Vec<u8>, DownloadError> {
        let mut response = self.get(address, None)?;
        if response.status().as_u16() != 200 {
            let status = response.status().as_u16();
            return Err(DownloadError::Status { address: address.text(), status });
        }
        let body = response.body_mut().with_config().limit(limit).read_to_vec();
        body.map_err(|error| reading(address, error.into_io()))
    }
}

/// What went wrong before there was an answer.
fn asking(address: &Address, error: ureq::Error) -> DownloadError {
    match error {
        ureq::Error::TooManyRedirects => DownloadError::Redirects(address.text()),
        ureq::Error::RequireHttpsOnly(_) => DownloadError::Insecure(address.text()),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            DownloadError::Unreachable { host: address.host(), source: Box::new(error) }
        }
        ureq::Error::Timeout(_) => DownloadError::Stalled(address.host()),
        error => DownloadError::Unreachable { host: address.host(), source: Box::new(error) },
    }
}

/// What went wrong while the answer came.
pub(super) fn reading(address: &Address, error: io::Error) -> DownloadError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<ureq::Error>());
    let timeout = matches!(cause, Some(ureq::Error::Timeout(_)));
    if timeout || error.kind() == io::ErrorKind::TimedOut {
        return DownloadError::Stalled(address.host());
    }
    DownloadError::Interrupted { host: address.host(), source: error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_another_replaces_its_name() {
        for (list, image) in [
            ("https://example.org/a/SUMS", "https://example.org/a/b.iso"),
            ("https://example.org:8080/SUMS?x=/y", "https://example.org:8080/b.iso"),
            ("http://[::1]:80", "http://[::1]:80/b.iso"),
        ] {
            assert_eq!(Address::parse(list).unwrap().beside("b.iso").unwrap().text(), image);
        }
    }

    #[test]
    fn what_begins_encrypted_stays_so() {
        let encrypted = Address::parse("https://example.org/").unwrap();
        let plain = Address::parse("http://127.0.0.1:9/").unwrap();
        let refused = Client::new(&encrypted, Patience::default()).get(&plain, None).unwrap_err();
        assert!(matches!(refused, DownloadError::Insecure(_)), "{refused:?}");
    }

    #[test]
    fn this_computer_is_known_by_its_names() {
        for (text, local) in [
            ("http://127.0.0.1:80/", true),
            ("http://127.1.2.3/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://localhost.example.org/", false),
            ("http://127.0.0.1.example.org/", false),
            ("http://127.0.0.1@example.org/", false),
            ("http://192.168.0.1/", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_local(), local, "{text}");
        }
        for text in
            ["", "/a", "ftp://example.org/", "file:///etc/passwd", "https:///a", "https://a b/"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
