//! The S3 bucket that holds the avatars.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::parse;
use crate::reader::{Reader, Reported};

/// How to reach the bucket.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Endpoint the API uses, with a trailing slash.
    pub url: Url,
    /// Endpoint browsers load pictures from, with a trailing slash.
    pub public_url: Url,
    /// Region name used in signatures.
    pub region: String,
    /// Bucket of the avatars.
    pub bucket: String,
    /// Access key identifier.
    pub access_key: SecretString,
    /// Secret access key.
    pub secret_key: SecretString,
    /// Time limit for one call.
    pub timeout: Duration,
}

impl S3Config {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let url = reader.value("S3_URL", parse::base_url);
        let public_url = reader.optional("S3_PUBLIC_URL", parse::base_url);
        let region = reader.value("S3_REGION", parse::identifier);
        let bucket = reader.value("S3_BUCKET", parse::identifier);
        let access_key = reader.value("S3_ACCESS_KEY", parse::secret);
        let secret_key = reader.value("S3_SECRET_KEY", parse::secret);
        let timeout = reader.milliseconds("S3_TIMEOUT_MS");
        let url = url?;
        Ok(Self {
            public_url: public_url?.unwrap_or_else(|| url.clone()),
            url,
            region: region?,
            bucket: bucket?,
            access_key: access_key?,
            secret_key: secret_key?,
            timeout: timeout?,
        })
    }
}
