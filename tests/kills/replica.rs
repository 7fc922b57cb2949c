//! Replicas of the API as processes of their own, and their end.

use std::time::Duration;

use freehunt_tests::{Replica, Serving, TestApp, serve_replica};
use reqwest::Method;
use uuid::Uuid;

pub struct Replicas(Vec<Replica>);

/// This program as a replica.
pub const REPLICA: Serving = Serving::Test("kills::replica::serve_until_killed");

/// A replica lives for up to so many milliseconds after it serves; there are three, so that each has had thrice as long.
const LONGEST_LIFE: u64 = 200;
/// Milliseconds after a call at Stripe within which its caller, or another replica, is killed.
const SOON: u64 = 40;
/// How long a kill waits for such a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Random pauses and choices; every run has others.
pub trait Schedule {
    /// A number below `end`.
    fn below(&self, end: u64) -> u64 {
        Uuid::new_v4().as_u64_pair().0 % end
    }
}

impl Schedule for Replicas {}

impl Replicas {
    pub async fn start(app: &TestApp, count: usize) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start(app, Serving::shipped_api().unwrap_or(REPLICA)).await);
        }
        Self(replicas)
    }

    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|replica| replica.url.as_str())
    }

    pub fn url(&self, index: usize) -> &str {
        &self.0[index].url
    }

    pub fn any_url(&self) -> &str {
        let index = usize::try_from(self.below(self.0.len() as u64)).expect("a small number");
        &self.0[index].url
    }

    /// Kills one replica after the other and starts it anew: every other time at a moment nobody chose, else soon after
    /// money was asked to move, when there is most to lose.
    #[expect(clippy::print_stdout, reason = "the long run is watched")]
    pub async fn kill_at_random(&self, app: &TestApp, kills: usize) {
        for number in 0..kills {
            let replica = &self.0[number % self.0.len()];
            // One that still starts would die without having done anything.
            replica.is_serving().await;
            if number % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(self.below(LONGEST_LIFE))).await;
            } else {
                let _nobody_moved_any = tokio::time::timeout(PATIENCE, money_is_asked_to_move(app)).await;
                tokio::time::sleep(Duration::from_millis(self.below(SOON))).await;
            }
            replica.kill();
            replica.start_again();
            if (number + 1) % 500 == 0 {
                println!("{} kills so far", number + 1);
            }
        }
    }

    pub async fn is_serving(&self, index: usize) {
        self.0[index].is_serving().await;
    }

    /// Kills the replica now, and starts it anew.
    pub async fn kill(&self, index: usize) {
        self.0[index].kill();
        self.0[index].start_again();
        self.0[index].is_serving().await;
    }
}

/// Returns when the next call that writes has come to Stripe.
async fn money_is_asked_to_move(app: &TestApp) {
    app.stripe.controls().forget_calls();
    while app.stripe.controls().calls_to(Method::POST, "/v1/").is_empty() {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[test]
#[ignore = "a process of the tests that kill; on its own it does nothing"]
fn serve_until_killed() {
    serve_replica(1);
}
