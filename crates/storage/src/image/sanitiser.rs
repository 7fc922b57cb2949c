//! Image work beside the requests: few images at once, within a shared amount of memory, on threads that give way.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use super::{ImageError, MAX_DECODE_BYTES, SafeImage, decode, header};
use crate::Background;

const MEMORY_UNIT: u64 = 1024;
const WAIT_LIMIT: Duration = Duration::from_secs(10);
/// Far above what the largest accepted image takes on a working machine.
const DRAW_LIMIT: Duration = Duration::from_secs(15);

/// Runs [`sanitise`](super::sanitise) so that a flood of uploads can starve neither requests nor memory. Clones share
/// the limits.
#[derive(Clone, Debug)]
pub struct Sanitiser {
    background: Background,
    slots: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    wait_limit: Duration,
}

impl Sanitiser {
    /// At most `concurrency` images are decoded at once (at least one); fewer than there are cores leaves room for
    /// requests. Together they take at most [`MAX_DECODE_BYTES`].
    pub fn new(concurrency: usize, background: Background) -> Self {
        let units = usize::try_from(MAX_DECODE_BYTES / MEMORY_UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            background,
            slots: Arc::new(Semaphore::new(concurrency.max(1))),
            memory: Arc::new(Semaphore::new(units)),
            wait_limit: WAIT_LIMIT,
        }
    }

    /// The same with another limit on waiting for a turn; the usual one is ten seconds.
    pub fn with_wait_limit(self, wait_limit: Duration) -> Self {
        Self { wait_limit, ..self }
    }

    /// As [`sanitise`](super::sanitise). [`ImageError::Busy`] when no turn comes in time. When the caller goes away,
    /// work that has begun still counts until it ends.
    pub async fn run(&self, bytes: Bytes) -> Result<SafeImage, ImageError> {
        let deadline = Instant::now() + self.wait_limit;
        let waited = |_elapsed| ImageError::Busy;
        let closed = |_closed| ImageError::Busy;
        // A decoder that panics has met a file its authors did not think of.
        let panicked = |_panicked| ImageError::Corrupt;

        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await.map_err(waited)?.map_err(closed)?;
        let read = self.background.compute({
            let bytes = bytes.clone();
            move || header::read(&bytes)
        });
        let header = timeout_at(deadline, read).await.map_err(waited)?.map_err(panicked)??;
        // The header's limits make this fit into 32 bits and into the whole.
        let units = u32::try_from(header.decode_bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
        let memory = self.memory.clone().acquire_many_owned(units);
        let memory = timeout_at(deadline, memory).await.map_err(waited)?.map_err(closed)?;

        let work = self.background.compute(move || {
            let result = decode::draw_anew(&bytes, &header);
            drop((slot, memory));
            result
        });
        timeout(DRAW_LIMIT, work).await.map_err(waited)?.map_err(panicked)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_long_a_queue_is_answered_busy() {
        let sanitiser = Sanitiser::new(1, Background::new().unwrap()).with_wait_limit(Duration::ZERO);
        let turn = sanitiser.slots.clone().acquire_owned().await.unwrap();
        assert_eq!(sanitiser.run(Bytes::from_static(b"GIF89a")).await.unwrap_err(), ImageError::Busy);
        drop(turn);
    }

    #[tokio::test]
    async fn permits_come_back_after_success_and_failure() {
        let sanitiser = Sanitiser::new(1, Background::new().unwrap());
        let memory = sanitiser.memory.available_permits();
        let good = Bytes::from(crate::image::tests::png(64, 32));
        assert_eq!(sanitiser.run(good.clone()).await.unwrap().width, 64);
        assert_eq!(sanitiser.run(good.slice(..60)).await.unwrap_err(), ImageError::Corrupt);
        assert_eq!(sanitiser.run(Bytes::from_static(b"<svg/>")).await.unwrap_err(), ImageError::UnsupportedType);
        assert_eq!((sanitiser.slots.available_permits(), sanitiser.memory.available_permits()), (1, memory));
    }

    #[tokio::test]
    async fn an_image_waits_until_the_memory_it_needs_is_free() {
        let sanitiser = Sanitiser::new(4, Background::new().unwrap()).with_wait_limit(Duration::from_millis(20));
        let all = u32::try_from(sanitiser.memory.available_permits()).unwrap();
        let held = sanitiser.memory.clone().acquire_many_owned(all).await.unwrap();
        let image = Bytes::from(crate::image::tests::png(64, 32));
        assert_eq!(sanitiser.run(image.clone()).await.unwrap_err(), ImageError::Busy);
        drop(held);
        assert!(sanitiser.with_wait_limit(WAIT_LIMIT).run(image).await.is_ok());
    }
}
