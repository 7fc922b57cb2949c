//! The storage client against the stand-in, over HTTP, with signatures on.

use std::time::{Duration, Instant, SystemTime};

use axum::http::Method;
use bytes::Bytes;
use freehunt_storage::{Background, ObjectKey, SecretString, Step, Storage, StorageError, StorageSettings, image};
use http::StatusCode;
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

use super::*;
use crate::stand_in::Misbehaviour;

const ACCESS_KEY: &str = "stand-in-access";
const SECRET_KEY: &str = "stand-in-secret-key";
const TIMEOUT: Duration = Duration::from_secs(2);

struct World {
    s3: S3StandIn,
    storage: Storage,
    folder: TempDir,
}

fn storage_at(url: &str, secret_key: &str, timeout: Duration) -> Storage {
    let url = Url::parse(url).unwrap();
    Storage::new(StorageSettings {
        public_url: url.clone(),
        url,
        region: "eu-west-3".to_owned(),
        bucket: PUBLIC_BUCKET.to_owned(),
        access_key: SecretString::from(ACCESS_KEY),
        secret_key: SecretString::from(secret_key),
        timeout,
    })
    .unwrap()
}

async fn world_with(buckets: &[&str]) -> World {
    let folder = tempfile::tempdir().unwrap();
    let settings = S3StandInSettings {
        root: folder.path().join("s3"),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        buckets: buckets.iter().map(|&bucket| bucket.to_owned()).collect(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let s3 = S3StandIn::start(listener, settings).unwrap();
    let storage = storage_at(&s3.url(), SECRET_KEY, TIMEOUT);
    World { s3, storage, folder }
}

async fn world() -> World {
    world_with(&[PUBLIC_BUCKET]).await
}

fn browser() -> reqwest::Client {
    // A second installation is refused, and the first one serves.
    let _already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap()
}

fn internal_error() -> Misbehaviour {
    let body = "<html>secret-in-an-answer</html>".to_owned();
    Misbehaviour::Answer { status: StatusCode::INTERNAL_SERVER_ERROR, content_type: "text/html", body }
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, StorageError>) {
    let error = result.expect_err("the store is away");
    assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
    let text = format!("{error} {error:?}");
    for secret in [SECRET_KEY, ACCESS_KEY, "secret-in-an-answer"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn an_object_lives_and_dies() {
    let World { s3, storage, folder: _folder } = world().await;
    let key = ObjectKey::avatar(Uuid::new_v4(), "png");
    assert!(!storage.exists(&key).await.unwrap());
    storage.put(&key, "image/png", Bytes::from_static(b"picture")).await.unwrap();
    assert!(storage.exists(&key).await.unwrap());
    assert_eq!(s3.objects(), [key.to_string()]);
    assert_eq!(s3.object(key.as_str()).unwrap(), b"picture");
    assert_eq!(storage.key_of_url(&storage.public_url(&key)), Some(key.clone()));
    storage.delete(&key).await.unwrap();
    assert!(!storage.exists(&key).await.unwrap());
    storage.delete(&key).await.expect("deleting what is gone is no error");
    assert!(s3.objects().is_empty());
    assert_eq!(s3.object("../../etc/passwd"), None);
}

#[tokio::test]
async fn browsers_read_avatars_and_nothing_else() {
    let World { s3, storage, folder: _folder } = world().await;
    let key = ObjectKey::avatar(Uuid::new_v4(), "png");
    storage.put(&key, "image/png", Bytes::from_static(b"picture")).await.unwrap();
    let other = ObjectKey::parse("private/x.png").unwrap();
    storage.put(&other, "image/png", Bytes::from_static(b"private")).await.unwrap();

    let browser = browser();
    let answer = browser.get(storage.public_url(&key)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(answer.bytes().await.unwrap(), "picture");
    assert_eq!(browser.head(storage.public_url(&key)).send().await.unwrap().status(), 200);

    let url = storage.public_url(&key);
    let bucket = format!("{}/{PUBLIC_BUCKET}", s3.url());
    for (method, url) in [
        (Method::PUT, url.clone()),
        (Method::DELETE, url.clone()),
        (Method::GET, format!("{url}?acl")),
        (Method::GET, storage.public_url(&other)),
        (Method::GET, format!("{bucket}?list-type=2")),
        (Method::GET, format!("{bucket}/avatars/../private/x.png")),
        (Method::GET, format!("{bucket}/avatars/%2e%2e/private/x.png")),
        (Method::GET, format!("{}/", s3.url())),
    ] {
        let status = browser.request(method.clone(), &url).send().await.unwrap().status();
        assert!(status.is_client_error() || status == 501, "{method} {url}: {status}");
    }
    assert_eq!(s3.object(key.as_str()).unwrap(), b"picture");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_without_retries() {
    let World { s3, storage: _, folder: _folder } = world().await;
    let storage = storage_at(&s3.url(), "another-secret-key", TIMEOUT);
    let key = ObjectKey::avatar(Uuid::new_v4(), "png");
    let error = storage.put(&key, "image/png", Bytes::from_static(b"picture")).await.unwrap_err();
    let StorageError::Refused(failure) = &error else { panic!("{error}") };
    assert_eq!((failure.status, failure.reason.as_str()), (Some(403), "SignatureDoesNotMatch"));
    assert!(!format!("{error:?}").contains("another-secret-key"));
    assert_eq!(s3.controls().calls_to(Method::PUT, "/").len(), 1);
    assert!(s3.objects().is_empty());
    assert!(matches!(storage.exists(&key).await, Err(StorageError::Refused(_))), "not the same as absent");
    assert!(matches!(storage.check().await, Err(StorageError::Refused(_))));
}

/// Fault case 74: every call fails cleanly, and nothing of before is lost.
#[tokio::test]
async fn a_failing_store_is_unavailable() {
    let World { s3, storage, folder: _folder } = world().await;
    let old = ObjectKey::avatar(Uuid::new_v4(), "png");
    storage.put(&old, "image/png", Bytes::from_static(b"old")).await.unwrap();
    let new = ObjectKey::avatar(Uuid::new_v4(), "png");
    s3.controls().misbehave("/", usize::MAX, internal_error());
    unavailable(storage.put(&new, "image/png", Bytes::from_static(b"new")).await);
    unavailable(storage.delete(&old).await);
    unavailable(storage.exists(&old).await);
    unavailable(storage.list("avatars/", None).await.map(|page| page.objects));
    unavailable(storage.check().await);
    unavailable(storage.bootstrap("http://localhost:3000").await);
    s3.controls().recover();
    assert_eq!(s3.objects(), [old.to_string()]);
    storage.check().await.unwrap();
}

#[tokio::test]
async fn short_troubles_are_retried() {
    let World { s3, storage, folder: _folder } = world().await;
    for trouble in [internal_error(), Misbehaviour::Reset, Misbehaviour::LoseAnswer] {
        let key = ObjectKey::avatar(Uuid::new_v4(), "png");
        s3.controls().misbehave_on(Method::PUT, "/", 1, trouble);
        storage.put(&key, "image/png", Bytes::from_static(b"picture")).await.unwrap();
        assert_eq!(s3.object(key.as_str()).unwrap(), b"picture");
    }
    assert_eq!(s3.objects().len(), 3, "a repeated put makes no second object");
}

/// Fault case 74: a store that hangs for a minute costs no more than the time limit.
#[tokio::test]
async fn a_slow_store_is_given_up() {
    let World { s3, storage: _, folder: _folder } = world().await;
    let storage = storage_at(&s3.url(), SECRET_KEY, Duration::from_millis(400));
    s3.controls().misbehave("/", usize::MAX, Misbehaviour::Hang(Duration::from_secs(60)));
    let start = Instant::now();
    let key = ObjectKey::avatar(Uuid::new_v4(), "png");
    unavailable(storage.put(&key, "image/png", Bytes::from_static(b"picture")).await);
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

/// Fault case 74: nobody listens.
#[tokio::test]
async fn an_absent_store_is_unavailable() {
    let World { s3, storage, folder: _folder } = world().await;
    s3.stop().await;
    unavailable(storage.check().await);
    let key = ObjectKey::avatar(Uuid::new_v4(), "png");
    unavailable(storage.put(&key, "image/png", Bytes::from_static(b"picture")).await);
}

#[tokio::test]
async fn listings_come_in_pages_with_dates() {
    let World { s3, storage, folder } = world().await;
    let user = Uuid::new_v4();
    let avatars = folder.path().join("s3").join(PUBLIC_BUCKET).join(format!("avatars/{user}"));
    std::fs::create_dir_all(&avatars).unwrap();
    let mut expected: Vec<_> = (0..1201).map(|_| ObjectKey::avatar(user, "png")).collect();
    for key in &expected {
        std::fs::write(folder.path().join("s3").join(PUBLIC_BUCKET).join(key.as_str()), b"picture").unwrap();
    }
    let elsewhere = ObjectKey::parse("other/x.png").unwrap();
    storage.put(&elsewhere, "image/png", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(s3.objects().len(), 1202);

    let (mut found, mut pages, mut next) = (Vec::new(), 0, None);
    loop {
        let page = storage.list(ObjectKey::AVATAR_PREFIX, next.as_deref()).await.unwrap();
        found.extend(page.objects);
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert!(pages > 1);
    let age = |time: SystemTime| time.elapsed().unwrap_or_default();
    assert!(found.iter().all(|object| age(object.last_modified) < Duration::from_secs(60)));
    assert!(found.iter().all(|object| object.key.owner() == Some(user)));
    let mut found: Vec<_> = found.into_iter().map(|object| object.key).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn bootstrap_makes_the_bucket_once() {
    let World { s3, storage, folder: _folder } = world_with(&[]).await;
    let StorageError::Refused(failure) = storage.check().await.unwrap_err() else { panic!("there is no bucket yet") };
    assert_eq!(failure.status, Some(404));
    let first = storage.bootstrap("http://localhost:4200").await.unwrap();
    assert_eq!((first.bucket, first.public_read, first.cors), (Step::Done, Step::Unsupported, Step::Unsupported));
    storage.check().await.unwrap();
    let second = storage.bootstrap("http://localhost:4200").await.unwrap();
    assert_eq!(second.bucket, Step::AlreadyThere);
    assert!(second.to_string().contains("already there"), "{second}");
    drop(s3);
}

#[tokio::test]
async fn bootstrap_opens_avatars_only_and_only_for_reading() {
    let World { s3, storage, folder: _folder } = world().await;
    let accepted =
        Misbehaviour::Answer { status: StatusCode::NO_CONTENT, content_type: "text/plain", body: String::new() };
    s3.controls().misbehave_on(Method::PUT, "/freehunt-avatar", 2, accepted);
    let report = storage.bootstrap("http://localhost:4200").await.unwrap();
    assert_eq!((report.bucket, report.public_read, report.cors), (Step::AlreadyThere, Step::Done, Step::Done));

    let calls = s3.controls().calls_to(Method::PUT, "/freehunt-avatar");
    let policy = calls.iter().find(|call| call.query.starts_with("policy")).unwrap().text();
    let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
    assert_eq!(statement["Action"], serde_json::json!(["s3:GetObject"]));
    assert_eq!(statement["Resource"], serde_json::json!(["arn:aws:s3:::freehunt-avatar/avatars/*"]));
    let cors = calls.iter().find(|call| call.query.starts_with("cors")).unwrap().text();
    assert!(cors.contains("<AllowedOrigin>http://localhost:4200</AllowedOrigin>"), "{cors}");
    assert_eq!(cors.matches("<AllowedMethod>").count(), 1, "{cors}");
    assert!(cors.contains("<AllowedMethod>GET</AllowedMethod>"), "{cors}");
}

/// Fault case 69, to the end: what lies in the bucket is what the sanitiser drew.
#[tokio::test]
async fn a_sanitised_picture_is_stored_byte_for_byte() {
    let World { s3, storage, folder: _folder } = world().await;
    // The smallest GIF: one transparent pixel.
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x21\xf9\x04\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";
    let sanitiser = image::Sanitiser::new(1, Background::new().unwrap());
    let safe = sanitiser.run(Bytes::from_static(gif)).await.unwrap();
    let key = ObjectKey::avatar(Uuid::new_v4(), safe.extension);
    storage.put(&key, safe.content_type, safe.bytes.clone()).await.unwrap();
    assert_eq!(s3.object(key.as_str()).unwrap(), safe.bytes);
}
