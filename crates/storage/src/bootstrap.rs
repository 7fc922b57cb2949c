//! Prepares the bucket of a MinIO-like server, by an operator's command: never at start, and never needed on AWS,
//! where Terraform owns the bucket.

use aws_sdk_s3::types::{BucketLocationConstraint, CorsConfiguration, CorsRule, CreateBucketConfiguration};

use crate::{
    Storage,
    error::{StorageError, status_of},
    key::ObjectKey,
};

/// The region which S3 wants not to be named.
const NAMELESS_REGION: &str = "us-east-1";
const CORS_MAX_AGE_SECONDS: i32 = 3600;

/// What became of one part of the preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    AlreadyThere,
    /// The server does not know this operation (MinIO sets CORS for the whole server instead).
    Unsupported,
}

impl std::fmt::Display for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Done => "done",
            Self::AlreadyThere => "already there",
            Self::Unsupported => "not supported by this server",
        })
    }
}

/// What [`Storage::bootstrap`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    pub bucket: Step,
    /// Anybody may read `avatars/*`, and only that.
    pub public_read: Step,
    /// Pages of the frontend may fetch objects by script.
    pub cors: Step,
}

impl std::fmt::Display for Bootstrap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "bucket: {}; public read: {}; CORS: {}", self.bucket, self.public_read, self.cors)
    }
}

impl Storage {
    /// Creates the bucket if it is missing, lets anybody read avatars, and lets pages of `frontend_origin`
    /// (`https://host`, no path) fetch them. May be repeated.
    pub async fn bootstrap(&self, frontend_origin: &str) -> Result<Bootstrap, StorageError> {
        let bucket = self.create_bucket_if_missing().await?;
        let public_read = supported(self.allow_public_read().await)?;
        let cors = supported(self.allow_origin(frontend_origin).await)?;
        Ok(Bootstrap { bucket, public_read, cors })
    }

    async fn create_bucket_if_missing(&self) -> Result<Step, StorageError> {
        match self.client.head_bucket().bucket(&*self.bucket).send().await {
            Ok(_head) => return Ok(Step::AlreadyThere),
            Err(error) if status_of(&error) == Some(404) => {}
            Err(error) => return Err(StorageError::of("HeadBucket", error)),
        }
        let place = (&*self.region != NAMELESS_REGION).then(|| {
            let constraint = BucketLocationConstraint::from(&*self.region);
            CreateBucketConfiguration::builder().location_constraint(constraint).build()
        });
        let request = self.client.create_bucket().bucket(&*self.bucket).set_create_bucket_configuration(place);
        match request.send().await {
            Ok(_created) => Ok(Step::Done),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_bucket_already_owned_by_you()) => {
                Ok(Step::AlreadyThere)
            }
            Err(error) => Err(StorageError::of("CreateBucket", error)),
        }
    }

    async fn allow_public_read(&self) -> Result<(), StorageError> {
        // The bucket's name was checked to need no escaping.
        let resource = format!("arn:aws:s3:::{}/{}*", self.bucket, ObjectKey::AVATAR_PREFIX);
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"PublicAvatars","Effect":"Allow","Principal":{{"AWS":["*"]}},"Action":["s3:GetObject"],"Resource":["{resource}"]}}]}}"#
        );
        let answer = self.client.put_bucket_policy().bucket(&*self.bucket).policy(policy).send().await;
        answer.map(|_set| ()).map_err(|error| StorageError::of("PutBucketPolicy", error))
    }

    async fn allow_origin(&self, origin: &str) -> Result<(), StorageError> {
        let rule = CorsRule::builder()
            .allowed_origins(origin)
            .allowed_methods("GET")
            .max_age_seconds(CORS_MAX_AGE_SECONDS)
            .build()
            .expect("a rule with an origin and a method is complete");
        let rules =
            CorsConfiguration::builder().cors_rules(rule).build().expect("a configuration with a rule is complete");
        let answer = self.client.put_bucket_cors().bucket(&*self.bucket).cors_configuration(rules).send().await;
        answer.map(|_set| ()).map_err(|error| StorageError::of("PutBucketCors", error))
    }
}

fn supported(result: Result<(), StorageError>) -> Result<Step, StorageError> {
    match result {
        Ok(()) => Ok(Step::Done),
        Err(error) if error.failure().reason == "NotImplemented" || error.failure().status == Some(501) => {
            Ok(Step::Unsupported)
        }
        Err(error) => Err(error),
    }
}
