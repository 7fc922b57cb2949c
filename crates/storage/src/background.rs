//! Threads for what is long, which give way to the threads of the requests.
//!
//! The system's scheduler lets a thread compute for milliseconds before another one gets its turn, also one of low priority
//! (nice 19). With as many pictures as cores that would be what a small request waits. Only an idle thread (`SCHED_IDLE`)
//! makes way at once. What it gave up it may not take back without privileges, which is why these threads are a runtime of
//! their own.

use std::{io, sync::Arc};

use tokio::{
    runtime,
    task::{AbortHandle, JoinError},
};
use tracing::Instrument;

/// One of them drives what waits for others; there are more for what computes, as many as are needed.
const DRIVERS: usize = 1;

/// The threads. Clones share them; with the last one they end, each with what it is computing.
#[derive(Clone, Debug)]
pub struct Background(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    handle: runtime::Handle,
    runtime: Option<runtime::Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for it would block the runtime that this may be dropped in.
            runtime.shutdown_background();
        }
    }
}

impl Background {
    /// Fails when the system has no files left to wait with. Without a thread left it panics, as at every start of a runtime.
    pub fn new() -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(DRIVERS)
            .thread_name("uploads")
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Threads { handle: runtime.handle().clone(), runtime: Some(runtime) })))
    }

    /// The result of what computes, unless it panicked. It goes on when the caller does not wait any longer.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        self.0.handle.spawn_blocking(work).await
    }

    /// The result of what mostly waits, unless it panicked. It ends soon after the caller does not wait any longer.
    pub async fn drive<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let task = self.0.handle.spawn(work.in_current_span());
        let _caller = Caller(task.abort_handle());
        task.await
    }
}

/// Ends the task when it is dropped.
struct Caller(AbortHandle);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(target_os = "linux")]
fn give_way() {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id,
    };
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle)) {
        tracing::warn!(error = ?error, "long work is done at the usual priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::sync::oneshot;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_threads_of_the_work_give_way() {
        use thread_priority::{NormalThreadSchedulePolicy::Idle, ThreadSchedulePolicy::Normal};
        let background = Background::new().unwrap();
        let policy = || thread_priority::thread_schedule_policy().unwrap();
        assert_ne!(policy(), Normal(Idle));
        assert_eq!(background.compute(policy).await.unwrap(), Normal(Idle));
        assert_eq!(background.drive(async move { policy() }).await.unwrap(), Normal(Idle));
        assert_ne!(policy(), Normal(Idle));
    }

    #[tokio::test]
    async fn work_that_panics_has_no_result() {
        let background = Background::new().unwrap();
        assert!(background.compute(|| -> u8 { panic!("expected by the test") }).await.unwrap_err().is_panic());
        assert!(background.drive(async { panic!("expected by the test") }).await.map(|()| 1).unwrap_err().is_panic());
        assert_eq!(background.compute(|| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_longer_ends() {
        let background = Background::new().unwrap();
        let (begun, begins) = oneshot::channel::<()>();
        let (held, ended) = oneshot::channel::<()>();
        let work = background.drive(async move {
            begun.send(()).unwrap();
            let _held = held;
            pending::<()>().await;
        });
        tokio::select! {
            _never = work => panic!("it waits for ever"),
            began = begins => began.unwrap(),
        }
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends");
        assert!(ended.is_err(), "dropped, not sent");
    }
}
