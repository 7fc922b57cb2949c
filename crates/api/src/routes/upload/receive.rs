//! Reads the one file of a multipart form, within limits of size, time and memory.
//!
//! Memory is asked for before the body is read, so that a flood of uploads waits in the clients and not here. The
//! texts of refused forms are the original's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use axum::{
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use freehunt_domain::ids::UserId;
use freehunt_storage::MAX_UPLOAD_BYTES;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::pace::{Pace, RECEIVE_LIMIT};
use crate::error::{ApiError, ApiResult};

/// The largest files that are in memory at once.
const LARGEST_FILES_AT_ONCE: usize = 4;
const MEMORY_UNIT: usize = 1024;
/// Of them, how many may be one user's: nobody's slow connections keep the others waiting.
const FILES_OF_A_USER: usize = 2;
/// How long a request waits for its turn and for memory.
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// After so many bytes other uploads have their turn: a body that has arrived would be read in one go.
const TURN_BYTES: usize = 64 * 1024;
/// Boundaries, part headers and text fields around the file.
const FORM_OVERHEAD_BYTES: usize = 64 * 1024;
/// A file that is a little too large is read to its end and dropped, since clients only hear the refusal when they have
/// finished sending.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;
const DISCARD_LIMIT: Duration = Duration::from_secs(2);
const MAX_TEXT_BYTES: usize = 256;
const MAX_FIELDS: usize = 10;

/// The name the frontend sends for the bucket, whatever the bucket is called.
const BUCKET_NAME: &str = "freehunt-avatar";

/// The memory that uploads share.
#[derive(Clone, Debug)]
pub struct UploadMemory {
    memory: Arc<Semaphore>,
    /// Of users who are uploading.
    turns: Arc<Mutex<HashMap<UserId, Weak<Semaphore>>>>,
}

impl Default for UploadMemory {
    fn default() -> Self {
        let units = LARGEST_FILES_AT_ONCE * MAX_UPLOAD_BYTES / MEMORY_UNIT;
        Self { memory: Arc::new(Semaphore::new(units)), turns: Arc::default() }
    }
}

/// A part of the memory, and a turn of the user it is for.
#[derive(Debug)]
struct Reservation {
    _memory: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl UploadMemory {
    /// Waits for its turn; 503 when it does not come in time.
    async fn reserve(&self, user_id: UserId, bytes: usize) -> ApiResult<Reservation> {
        let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
        let deadline = Instant::now() + WAIT_LIMIT;
        let busy = || ApiError::unavailable(anyhow::anyhow!("too many uploads at once"));
        let turn = timeout_at(deadline, self.turns_of(user_id).acquire_owned()).await.map_err(|_elapsed| busy())?;
        let memory = self.memory.clone().acquire_many_owned(units);
        let memory = timeout_at(deadline, memory).await.map_err(|_elapsed| busy())?;
        Ok(Reservation { _memory: memory.map_err(|_closed| busy())?, _turn: turn.map_err(|_closed| busy())? })
    }

    fn turns_of(&self, user_id: UserId) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = turns.get(&user_id).and_then(Weak::upgrade) {
            return turns;
        }
        turns.retain(|_, turns| turns.strong_count() > 0);
        let new = Arc::new(Semaphore::new(FILES_OF_A_USER));
        turns.insert(user_id, Arc::downgrade(&new));
        new
    }
}

/// The file of a form.
#[derive(Debug)]
pub struct ReceivedFile {
    /// As the client sent it: anything.
    pub name: String,
    /// They hold their part of the memory until nobody has them any more.
    pub bytes: Bytes,
}

struct ReservedBytes {
    bytes: BytesMut,
    _memory: Reservation,
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the file `file` of the form; a `bucketName` beside it must be that of the avatars, and other texts are ignored.
pub async fn receive_file(
    request: Request,
    user_id: UserId,
    memory: &UploadMemory,
    bucket: &str,
) -> ApiResult<ReceivedFile> {
    require_form(request.headers())?;
    let declared = content_length(request.headers());
    if declared.is_some_and(|bytes| bytes > MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES + MAX_DISCARDED_BYTES) {
        return Err(too_large());
    }
    let capacity = declared.unwrap_or(MAX_UPLOAD_BYTES).min(MAX_UPLOAD_BYTES);
    let memory = memory.reserve(user_id, capacity).await?;
    let (mut request, pace) = Pace::of(request, declared.unwrap_or(MAX_UPLOAD_BYTES));
    DefaultBodyLimit::max(MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES + MAX_DISCARDED_BYTES).apply(&mut request);
    let multipart = Multipart::from_request(request, &()).await;
    let multipart = multipart.map_err(|_rejection| ApiError::bad_request("Multipart: Boundary not found"))?;
    let (name, bytes) = timeout(RECEIVE_LIMIT, read_form(multipart, &pace, capacity, bucket))
        .await
        .map_err(|_elapsed| too_slow())??;
    Ok(ReceivedFile { name, bytes: Bytes::from_owner(ReservedBytes { bytes, _memory: memory }) })
}

fn require_form(headers: &HeaderMap) -> ApiResult<()> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("multipart/form-data") {
        Ok(())
    } else {
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be multipart/form-data"))
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_form(
    mut multipart: Multipart,
    pace: &Pace,
    capacity: usize,
    bucket: &str,
) -> ApiResult<(String, BytesMut)> {
    let mut file = None;
    let mut bucket_name = None;
    let mut fields = 0;
    while let Some(mut field) = in_time(pace, multipart.next_field()).await? {
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(ApiError::bad_request("Too many fields"));
        }
        let name = field.name().unwrap_or_default().to_owned();
        match field.file_name().map(str::to_owned) {
            Some(file_name) if name == "file" && file.is_none() => {
                file = Some((file_name, read_file(&mut field, pace, capacity).await?));
            }
            Some(_) => return Err(ApiError::bad_request(format!("Unexpected field - {}", printable(&name)))),
            None => {
                let text = read_text(&mut field, pace).await?;
                if name == "bucketName" && bucket_name.replace(text).is_some() {
                    return Err(wrong_bucket());
                }
            }
        }
    }
    match bucket_name {
        Some(name) if name != BUCKET_NAME.as_bytes() && name != bucket.as_bytes() => Err(wrong_bucket()),
        _ => file.ok_or_else(|| ApiError::bad_request("file should not be empty")),
    }
}

async fn read_file(field: &mut Field<'_>, pace: &Pace, capacity: usize) -> ApiResult<BytesMut> {
    let mut bytes = BytesMut::with_capacity(capacity);
    let mut turn = 0;
    while let Some(chunk) = in_time(pace, field.chunk()).await? {
        turn += chunk.len();
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
        if bytes.len() + chunk.len() > MAX_UPLOAD_BYTES {
            drop((bytes, chunk));
            discard(field).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn discard(field: &mut Field<'_>) {
    let reading = async {
        let mut discarded = 0;
        while let Ok(Some(chunk)) = field.chunk().await {
            discarded += chunk.len();
            if discarded > MAX_DISCARDED_BYTES {
                break;
            }
        }
    };
    // Whether it ended or not, the answer is the same.
    let _ended = timeout(DISCARD_LIMIT, reading).await;
}

async fn read_text(field: &mut Field<'_>, pace: &Pace) -> ApiResult<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(chunk) = in_time(pace, field.chunk()).await? {
        if text.len() + chunk.len() > MAX_TEXT_BYTES {
            return Err(ApiError::bad_request("Field value too long"));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

async fn in_time<T>(pace: &Pace, reading: impl Future<Output = Result<T, MultipartError>>) -> ApiResult<T> {
    timeout_at(pace.next_due(), reading).await.map_err(|_elapsed| too_slow())?.map_err(|error| broken_form(&error))
}

fn broken_form(error: &MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    let is_malformed = error.body_text().contains("header") && !error.body_text().contains("complete");
    let text = if is_malformed { "Malformed part header" } else { "Unexpected end of form" };
    ApiError::bad_request(format!("Multipart: {text}"))
}

fn too_large() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "File too large")
}

fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "The upload took too long")
}

fn wrong_bucket() -> ApiError {
    ApiError::bad_request(format!("bucketName must be one of the following values: {BUCKET_NAME}"))
}

/// A field's name is echoed in the answer; keep it short and on one line.
fn printable(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Whether a reservation of the largest file is had at once.
    fn reserves(memory: &UploadMemory, user_id: UserId) -> Option<Reservation> {
        let mut waiting = std::pin::pin!(memory.reserve(user_id, MAX_UPLOAD_BYTES));
        match futures_util::FutureExt::now_or_never(waiting.as_mut()) {
            Some(reserved) => reserved.ok(),
            None => None,
        }
    }

    #[tokio::test]
    async fn one_user_leaves_memory_to_the_others() {
        let memory = UploadMemory::default();
        let users: Vec<_> = (0..5).map(|number| UserId(Uuid::from_u128(number))).collect();
        let first = reserves(&memory, users[0]).expect("the first file");
        let _second = reserves(&memory, users[0]).expect("the second file");
        assert!(reserves(&memory, users[0]).is_none(), "a third file of one user");
        let others: Vec<_> =
            users[1..2].iter().flat_map(|user| [reserves(&memory, *user), reserves(&memory, *user)]).collect();
        assert!(others.iter().all(Option::is_some), "files of others");
        assert!(reserves(&memory, users[4]).is_none(), "more than the memory");
        drop(first);
        assert!(reserves(&memory, users[4]).is_some());
        drop(others);
        assert!(reserves(&memory, users[0]).is_some());
        assert_eq!(memory.turns.lock().unwrap().values().filter(|turns| turns.strong_count() > 0).count(), 1);
    }
}
