//! A thread for each piece of long work, which gives way to the threads of the requests.
//!
//! The system's scheduler lets a thread compute for milliseconds before another one gets its turn. With as many pictures as
//! cores that would be what a small request waits, so these threads take the lowest priority. It cannot be given back
//! without privileges, which is why no thread of the runtime's own pool is used.

use std::{io, thread};

use tokio::sync::oneshot;

/// The work's result; `None` when it panicked or no thread could be made.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name("picture".to_owned()).spawn(move || {
        if let Err(error) = give_way() {
            tracing::debug!(%error, "pictures are drawn at the usual priority");
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

/// On Linux priorities are those of threads; elsewhere this would be the whole program's.
#[cfg(target_os = "linux")]
fn give_way() -> io::Result<()> {
    const LOWEST: i32 = 19;
    Ok(rustix::process::setpriority_process(None, LOWEST)?)
}

#[cfg(not(target_os = "linux"))]
fn give_way() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_thread_of_the_work_gives_way() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let usual = priority();
        assert_eq!(run(priority).await, Some(19));
        assert_eq!(priority(), usual);
    }

    #[tokio::test]
    async fn work_that_panics_has_no_result() {
        assert_eq!(run(|| -> u8 { panic!("expected by the test") }).await, None);
    }
}
