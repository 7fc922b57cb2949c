//! A thread for each piece of long work, which gives way to the threads of the requests.
//!
//! The system's scheduler lets a thread compute for milliseconds before another one gets its turn, also one of low priority
//! (nice 19). With as many pictures as cores that would be what a small request waits. Only an idle thread (`SCHED_IDLE`)
//! makes way at once. What it gave up it may not take back without privileges, which is why no thread of the runtime's own
//! pool is used.

use std::thread;

use tokio::sync::oneshot;

/// The work's result; `None` when it panicked or no thread could be made.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name("picture".to_owned()).spawn(move || {
        if let Err(error) = give_way() {
            tracing::debug!(error = ?error, "pictures are drawn at the usual priority");
        }
        // Nobody may be waiting any more.
        let _unsent = sender.send(work());
    });
    if let Err(error) = thread {
        tracing::error!(%error, "no thread for a picture");
        return None;
    }
    receiver.await.ok()
}

#[cfg(target_os = "linux")]
fn give_way() -> Result<(), thread_priority::Error> {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id,
    };
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle))
}

#[cfg(not(target_os = "linux"))]
fn give_way() -> Result<(), thread_priority::Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_thread_of_the_work_gives_way() {
        use thread_priority::{NormalThreadSchedulePolicy::Idle, ThreadSchedulePolicy::Normal};
        let policy = || thread_priority::thread_schedule_policy().unwrap();
        assert_ne!(policy(), Normal(Idle));
        assert_eq!(run(policy).await, Some(Normal(Idle)));
        assert_ne!(policy(), Normal(Idle));
    }

    #[tokio::test]
    async fn work_that_panics_has_no_result() {
        assert_eq!(run(|| -> u8 { panic!("expected by the test") }).await, None);
    }
}
