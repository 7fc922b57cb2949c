//! The calls to the bucket: path style, static credentials, time limits and few retries.
//!
//! Objects are written once under a fresh key and never changed, so browsers may keep them for ever.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig},
    error::SdkError,
    primitives::ByteStream,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use tracing::Instrument;
use url::Url;

use crate::{
    error::{BuildError, StorageError, status_of},
    key::ObjectKey,
};

const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
/// First try included.
const MAX_ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const MAX_CONNECT_TIME: Duration = Duration::from_secs(3);
const OBJECTS_PER_PAGE: i32 = 500;

/// Where the bucket is and who we are.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// The S3 endpoint as this server reaches it.
    pub url: Url,
    /// The same endpoint as browsers reach it.
    pub public_url: Url,
    pub region: String,
    pub bucket: String,
    pub access_key: SecretString,
    pub secret_key: SecretString,
    /// For one call with all its retries.
    pub timeout: Duration,
}

/// A handle on the bucket; clones share their connections.
#[derive(Clone)]
pub struct Storage {
    pub(crate) client: Client,
    pub(crate) bucket: Arc<str>,
    pub(crate) region: Arc<str>,
    /// `<public url>/<bucket>/`
    public_base: Arc<str>,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    pub key: ObjectKey,
    pub last_modified: SystemTime,
}

/// A part of a listing.
#[derive(Clone, Debug)]
pub struct Page {
    pub objects: Vec<StoredObject>,
    /// Give this to the next [`Storage::list`]; `None` on the last page.
    pub next: Option<String>,
}

impl Storage {
    /// Makes a client; nothing is sent yet.
    pub fn new(settings: StorageSettings) -> Result<Self, BuildError> {
        let endpoint = base_of(&settings.url, "the S3 address")?;
        let public = base_of(&settings.public_url, "the public S3 address")?;
        if settings.region.is_empty() {
            return Err(BuildError::Empty("the S3 region"));
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        if !(3..=63).contains(&settings.bucket.len()) || !settings.bucket.bytes().all(allowed) {
            return Err(BuildError::Bucket);
        }
        let (access_key, secret_key) = (settings.access_key.expose_secret(), settings.secret_key.expose_secret());
        if access_key.is_empty() || secret_key.is_empty() {
            return Err(BuildError::Empty("the S3 keys"));
        }
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(settings.timeout)
            .operation_attempt_timeout(settings.timeout / 2)
            .connect_timeout((settings.timeout / 2).min(MAX_CONNECT_TIME))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(MAX_ATTEMPTS)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(MAX_BACKOFF);
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::rustls(CryptoMode::Ring)).build_https();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(endpoint)
            .region(Region::new(settings.region.clone()))
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "settings"))
            .force_path_style(true)
            .timeout_config(timeouts)
            .retry_config(retries)
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            public_base: format!("{public}/{}/", settings.bucket).into(),
            bucket: settings.bucket.into(),
            region: settings.region.into(),
        })
    }

    /// Stores an object. May be repeated with the same key and bytes.
    pub async fn put(&self, key: &ObjectKey, content_type: &str, bytes: Bytes) -> Result<(), StorageError> {
        let request = self
            .client
            .put_object()
            .bucket(&*self.bucket)
            .key(key.as_str())
            .content_type(content_type)
            .cache_control(CACHE_CONTROL)
            .body(ByteStream::from(bytes));
        let stored = observed("PutObject", request.send()).await;
        stored.map(|_stored| ()).map_err(|error| StorageError::of("PutObject", error))
    }

    /// Deletes an object; one that is not there counts as deleted.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let request = self.client.delete_object().bucket(&*self.bucket).key(key.as_str());
        let answer = observed("DeleteObject", request.send()).await;
        match answer.map_err(|error| StorageError::of("DeleteObject", error)) {
            Err(error) if error.failure().reason == "NoSuchKey" => Ok(()),
            other => other.map(|_deleted| ()),
        }
    }

    /// Whether the object is there.
    pub async fn exists(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        let request = self.client.head_object().bucket(&*self.bucket).key(key.as_str());
        match observed("HeadObject", request.send()).await {
            Ok(_head) => Ok(true),
            Err(error) if status_of(&error) == Some(404) => Ok(false),
            Err(error) => Err(StorageError::of("HeadObject", error)),
        }
    }

    /// Lists objects whose key starts with `prefix`, one page at a time. Objects without a date or with a name that
    /// this server could not handle are left out.
    pub async fn list(&self, prefix: &str, continuation: Option<&str>) -> Result<Page, StorageError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&*self.bucket)
            .prefix(prefix)
            .max_keys(OBJECTS_PER_PAGE)
            .set_continuation_token(continuation.map(str::to_owned));
        let answer = observed("ListObjectsV2", request.send()).await;
        let answer = answer.map_err(|error| StorageError::of("ListObjectsV2", error))?;
        let objects = answer
            .contents()
            .iter()
            .filter_map(|object| {
                let key = ObjectKey::parse(object.key()?).ok()?;
                let last_modified = SystemTime::try_from(*object.last_modified()?).ok()?;
                Some(StoredObject { key, last_modified })
            })
            .collect();
        let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true)).map(str::to_owned);
        Ok(Page { objects, next })
    }

    /// The address at which browsers find the object.
    pub fn public_url(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.public_base)
    }

    /// The key behind an address that [`Storage::public_url`] made; `None` for every other address.
    pub fn key_of_url(&self, url: &str) -> Option<ObjectKey> {
        let key = url.strip_prefix(&*self.public_base)?;
        if key.contains(['?', '#']) { None } else { ObjectKey::parse(key).ok() }
    }

    /// Whether the bucket answers and we may use it.
    pub async fn check(&self) -> Result<(), StorageError> {
        let answer = observed("HeadBucket", self.client.head_bucket().bucket(&*self.bucket).send()).await;
        answer.map(|_head| ()).map_err(|error| StorageError::of("HeadBucket", error))
    }
}

/// Times a call, and puts it into a span.
async fn observed<T, E>(
    operation: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, SdkError<E, HttpResponse>> {
    let began = Instant::now();
    let result = call.instrument(tracing::info_span!("s3", operation, otel.kind = "client")).await;
    let outcome = match &result {
        Ok(_) => "answered",
        Err(error) if status_of(error).is_some_and(|status| status < 500) => "refused",
        Err(_) => "failed",
    };
    metrics::histogram!("freehunt_outbound_duration_seconds", "service" => "s3", "outcome" => outcome)
        .record(began.elapsed());
    result
}

/// The address without its trailing slash.
fn base_of(url: &Url, name: &'static str) -> Result<String, BuildError> {
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if web && bare { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(BuildError::Url(name)) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn settings() -> StorageSettings {
        StorageSettings {
            url: Url::parse("http://minio:9000").unwrap(),
            public_url: Url::parse("https://s3.eu-west-3.amazonaws.com/").unwrap(),
            region: "eu-west-3".to_owned(),
            bucket: "freehunt-avatar".to_owned(),
            access_key: "the-access-key".into(),
            secret_key: "the-secret-key".into(),
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn the_public_address_has_the_form_the_frontend_allows() {
        let storage = Storage::new(settings()).unwrap();
        let key = ObjectKey::avatar(Uuid::nil(), "png");
        let url = storage.public_url(&key);
        assert_eq!(url, format!("https://s3.eu-west-3.amazonaws.com/freehunt-avatar/{key}"));
        assert_eq!(storage.key_of_url(&url), Some(key));
    }

    /// Fault case 77: addresses of other hosts and buckets are not ours.
    #[test]
    fn foreign_addresses_have_no_key() {
        let storage = Storage::new(settings()).unwrap();
        let key = ObjectKey::avatar(Uuid::nil(), "png");
        for url in [
            format!("https://evil.example/freehunt-avatar/{key}"),
            format!("https://s3.eu-west-3.amazonaws.com.evil.example/freehunt-avatar/{key}"),
            format!("https://s3.eu-west-3.amazonaws.com@evil.example/freehunt-avatar/{key}"),
            format!("http://s3.eu-west-3.amazonaws.com/freehunt-avatar/{key}"),
            format!("https://s3.eu-west-3.amazonaws.com/other/{key}"),
            format!("https://s3.eu-west-3.amazonaws.com/freehunt-avatar/../other/{key}"),
            format!("https://s3.eu-west-3.amazonaws.com/freehunt-avatar/{key}?x=1"),
            format!("https://s3.eu-west-3.amazonaws.com/freehunt-avatar/{key}#x"),
            "https://s3.eu-west-3.amazonaws.com/freehunt-avatar/".to_owned(),
        ] {
            assert_eq!(storage.key_of_url(&url), None, "{url}");
        }
    }

    #[test]
    fn unusable_settings_are_refused() {
        let refused = |change: fn(&mut StorageSettings)| {
            let mut settings = settings();
            change(&mut settings);
            Storage::new(settings).is_err()
        };
        assert!(refused(|settings| settings.url = Url::parse("ftp://host").unwrap()));
        assert!(refused(|settings| settings.public_url = Url::parse("http://user:secret@host").unwrap()));
        assert!(refused(|settings| settings.bucket = "Not A Bucket".to_owned()));
        assert!(refused(|settings| settings.region = String::new()));
        assert!(refused(|settings| settings.secret_key = "".into()));
        assert!(!refused(|_| {}));
    }

    #[test]
    fn settings_do_not_show_their_secrets() {
        let shown = format!("{:?}", settings());
        assert!(!shown.contains("the-secret-key") && !shown.contains("the-access-key"), "{shown}");
    }
}
