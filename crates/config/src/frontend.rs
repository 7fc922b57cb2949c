//! The web frontend: its origin, the cookies and the origins that may call with credentials.

use url::{Host, Url};

use crate::parse;
use crate::reader::{Reader, Reported};

/// The web frontend and what follows from its address.
#[derive(Clone, Debug)]
pub struct FrontendConfig {
    /// Address of the frontend; only its origin matters.
    pub url: Url,
    /// Public address of the HTTP API, with a trailing slash.
    pub api_url: Url,
    /// `Domain` attribute of the session cookie that both hosts need; `None` leaves the cookie with one host.
    pub cookie_domain: Option<String>,
    /// Whether cookies get the `Secure` attribute.
    pub secure_cookies: bool,
    /// Further origins that may call with credentials.
    pub additional_origins: Vec<String>,
}

impl FrontendConfig {
    pub(crate) fn read(reader: &mut Reader<'_>, api_port: u16) -> Result<Self, Reported> {
        let url = reader.value("FRONTEND_URL", parse::http_url);
        let api_url = reader.optional("API_URL", parse::base_url);
        let cookie_domain = reader.optional("COOKIE_DOMAIN", parse_cookie_domain);
        let secure_cookies = reader.optional("COOKIE_SECURE", parse::boolean);
        let additional_origins = reader.optional("ADDITIONAL_ORIGINS", parse_origins);

        let url = url?;
        let api_url = match api_url? {
            Some(api_url) => api_url,
            None => derived_api_url(&url, api_port)
                .ok_or_else(|| reader.problem("API_URL", "is missing and cannot be derived from FRONTEND_URL"))?,
        };
        let config = Self {
            cookie_domain: cookie_domain?.or_else(|| domain_name(&url).map(|name| without_www(name).to_owned())),
            secure_cookies: secure_cookies?.unwrap_or(url.scheme() == "https"),
            additional_origins: additional_origins?.unwrap_or_default(),
            url,
            api_url,
        };
        if config.url.scheme() == "https" && !config.secure_cookies {
            reader.warn("COOKIE_SECURE is false although FRONTEND_URL uses https");
        }
        if !config.cookie_domain_covers_api() {
            reader.warn("COOKIE_DOMAIN does not cover the host of API_URL: browsers will refuse the session cookie");
        }
        Ok(config)
    }

    /// Origin of the frontend in ASCII, as browsers send it.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Every origin that may call with credentials: the frontend's with and without `www.`, and the additional ones.
    pub fn allowed_origins(&self) -> Vec<String> {
        let mut origins = vec![self.origin()];
        if let Some(name) = domain_name(&self.url) {
            let counterpart = name.strip_prefix("www.").map_or_else(|| format!("www.{name}"), str::to_owned);
            let mut url = self.url.clone();
            if url.set_host(Some(&counterpart)).is_ok() {
                origins.push(url.origin().ascii_serialization());
            }
        }
        for origin in &self.additional_origins {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
        origins
    }

    /// Whether the frontend runs on this machine, as in development.
    pub fn is_local(&self) -> bool {
        is_local(&self.url)
    }

    fn cookie_domain_covers_api(&self) -> bool {
        let (Some(domain), Some(host)) = (&self.cookie_domain, self.api_url.host_str()) else { return true };
        host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// `localhost`, a name below it, or an IP address.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => true,
    }
}

/// The host, if it looks like a registered name: not local and with a dot.
fn domain_name(url: &Url) -> Option<&str> {
    url.domain().filter(|name| !is_local(url) && name.trim_end_matches('.').contains('.'))
}

fn without_www(name: &str) -> &str {
    name.strip_prefix("www.").unwrap_or(name)
}

fn derived_api_url(frontend: &Url, api_port: u16) -> Option<Url> {
    if is_local(frontend) {
        return Url::parse(&format!("http://localhost:{api_port}/")).ok();
    }
    let host = without_www(frontend.host_str()?);
    Url::parse(&format!("{}://api.{host}/", frontend.scheme())).ok()
}

fn parse_cookie_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    match Host::parse(&domain) {
        Ok(Host::Domain(name)) if name.contains('.') => Ok(name),
        _ => Err("is not a domain name such as example.org".to_owned()),
    }
}

fn parse_origins(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(parse::origin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn frontend(variables: &[(&str, &str)]) -> (FrontendConfig, Vec<String>) {
        let source = Source::from_map(variables.iter().copied(), "/nonexistent");
        let mut reader = Reader::new(&source);
        let config = FrontendConfig::read(&mut reader, 3000);
        reader.finish(config).expect("valid settings")
    }

    #[test]
    fn production_values_follow_from_the_frontend_address() {
        let (config, warnings) = frontend(&[("FRONTEND_URL", "https://freehunt.example/some/page")]);
        assert_eq!(config.origin(), "https://freehunt.example");
        assert_eq!(config.allowed_origins(), ["https://freehunt.example", "https://www.freehunt.example"]);
        assert_eq!(config.api_url.as_str(), "https://api.freehunt.example/");
        assert_eq!(config.cookie_domain.as_deref(), Some("freehunt.example"));
        assert!(config.secure_cookies && !config.is_local());
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn a_www_address_shares_cookies_with_the_bare_name() {
        let (config, _) = frontend(&[("FRONTEND_URL", "https://www.freehunt.example:8443")]);
        assert_eq!(config.allowed_origins(), ["https://www.freehunt.example:8443", "https://freehunt.example:8443"]);
        assert_eq!(config.api_url.as_str(), "https://api.freehunt.example/");
        assert_eq!(config.cookie_domain.as_deref(), Some("freehunt.example"));
    }

    #[test]
    fn local_addresses_get_host_only_insecure_cookies() {
        for url in ["http://localhost:5173", "http://127.0.0.1:5173", "http://[::1]:5173", "http://192.168.1.4"] {
            let (config, _) = frontend(&[("FRONTEND_URL", url)]);
            assert_eq!(config.cookie_domain, None, "{url}");
            assert_eq!(config.allowed_origins(), [url], "{url}");
            assert_eq!(config.api_url.as_str(), "http://localhost:3000/", "{url}");
            assert!(!config.secure_cookies && config.is_local(), "{url}");
        }
        let (config, _) = frontend(&[("FRONTEND_URL", "http://frontend:5173")]);
        assert_eq!((config.cookie_domain.as_deref(), config.allowed_origins().len()), (None, 1));
    }

    #[test]
    fn everything_can_be_set_explicitly() {
        let (config, warnings) = frontend(&[
            ("FRONTEND_URL", "https://app.example.org"),
            ("API_URL", "https://backend.example.org/v1"),
            ("COOKIE_DOMAIN", ".Example.org"),
            ("COOKIE_SECURE", "false"),
            ("ADDITIONAL_ORIGINS", "https://preview.example.org, http://localhost:5173/ ,"),
        ]);
        assert_eq!(config.api_url.as_str(), "https://backend.example.org/v1/");
        assert_eq!(config.cookie_domain.as_deref(), Some("example.org"));
        assert_eq!(
            config.allowed_origins(),
            [
                "https://app.example.org",
                "https://www.app.example.org",
                "https://preview.example.org",
                "http://localhost:5173"
            ]
        );
        assert_eq!(warnings, ["COOKIE_SECURE is false although FRONTEND_URL uses https"]);
    }

    #[test]
    fn a_cookie_domain_of_another_site_is_pointed_out() {
        let (_, warnings) =
            frontend(&[("FRONTEND_URL", "https://freehunt.example"), ("COOKIE_DOMAIN", "hunt.example")]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("COOKIE_DOMAIN "));
    }

    #[test]
    fn wildcards_and_paths_are_no_origins() {
        for text in ["*", "null", "https://*.example.org/x", "https://example.org/path", "example.org"] {
            assert!(parse_origins(text).is_err(), "{text}");
        }
        for text in ["localhost", "10.0.0.1", "a b.example"] {
            assert!(parse_cookie_domain(text).is_err(), "{text}");
        }
    }
}
