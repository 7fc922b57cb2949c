//! Replicas are killed with SIGKILL while companies pay, cancel, accept and approve. Afterwards the invariants hold, and
//! Stripe's books and the database say the same: no payment is lost, none is made twice.
//!
//! The short run is part of the suite. The long one, which prints its counts:
//! `FREEHUNT_KILLS=10000 cargo test -p freehunt-tests --test end_to_end kills::no_kill -- --nocapture`
//! (or several shorter ones, whose counts add up). With `FREEHUNT_API_PROGRAM=target/release/freehunt-api` the program that
//! is shipped is killed, which starts sooner.

mod actor;
mod points;
mod registration;
pub mod replica;

use std::{collections::HashMap, sync::atomic::AtomicBool, time::Duration};

use freehunt_sandbox::stripe::SessionStatus;
use freehunt_tests::{TestApp, TestOptions};
use futures_util::future::join_all;

use self::{
    actor::{Actor, Tally},
    replica::Replicas,
};
use crate::money::{books_agree, execute, jobs_are_done, keys_rest};

const REPLICAS: usize = 3;
const ACTORS: usize = 8;
/// Kills in the suite's own run.
const SHORT_RUN: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_or_doubles_a_payment() {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test itself")]
    let kills = std::env::var("FREEHUNT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(SHORT_RUN);
    let options = TestOptions::default().with("STRIPE_TIMEOUT_MS", "1500").with("DATABASE_MAX_CONNECTIONS", "6");
    TestApp::run_with(options, async |app| {
        let replicas = Replicas::start(app, REPLICAS).await;
        app.stripe.set_webhook_targets(replicas.urls().map(|url| format!("{url}/stripe/webhook")).collect());
        let (over, tally) = (AtomicBool::new(false), Tally::default());
        let mut actors = Vec::new();
        for number in 0..ACTORS {
            actors.push(Actor::new(app, &replicas, number, &tally).await);
        }
        let acting = join_all(actors.iter_mut().map(|actor| actor.act_until(&over)));
        let killing = async {
            replicas.kill_at_random(app, kills).await;
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        tokio::join!(acting, killing, pass_time(app, &over));
        settle(app).await;
        check_books(app);
        books_agree(app).await;
        tally.report(kills, &app.stripe.books());
    })
    .await;
}

/// Leases and pauses end sooner than they would, so that a run of thousands of kills does not wait for them. That two
/// replicas then run the same job now and then makes the test harder, not easier.
async fn pass_time(app: &TestApp, over: &AtomicBool) {
    while !over.load(std::sync::atomic::Ordering::Relaxed) {
        hurry(app).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

pub async fn hurry(app: &TestApp) {
    execute(
        app,
        "UPDATE job SET leased_until = now() - interval '1 second'
         WHERE state = 'READY' AND leased_until < now() + interval '22 seconds'",
    )
    .await;
    execute(app, "UPDATE job SET run_at = now() WHERE state = 'READY' AND run_at > now()").await;
    for statement in [
        // The test's sessions have nothing that Authentik could confirm them by.
        "UPDATE session SET validated_at = now()",
        "UPDATE payment_session SET updated_at = updated_at - interval '61 seconds' WHERE status IN ('OPEN', 'CREATING')",
        "UPDATE transfer_intent SET updated_at = updated_at - interval '16 seconds' WHERE status = 'PENDING'",
        "UPDATE refund_intent SET updated_at = updated_at - interval '16 seconds' WHERE status = 'PENDING'",
        // Nothing that was sent is carried out for longer than seconds here.
        "UPDATE transfer_intent SET key_sent_at = key_sent_at - interval '20 seconds' WHERE status = 'PENDING'",
        "UPDATE refund_intent SET key_sent_at = key_sent_at - interval '20 seconds' WHERE status = 'PENDING'",
        "UPDATE stripe_event SET received_at = received_at - interval '16 seconds' WHERE processed_at IS NULL",
    ] {
        execute(app, statement).await;
    }
}

/// Everything that was begun comes to its end.
async fn settle(app: &TestApp) {
    app.stripe.wait_until_delivered().await;
    for _ in 0..3 {
        hurry(app).await;
        execute(app, "UPDATE job SET leased_until = NULL WHERE state = 'READY'").await;
        app.state.jobs.sweep().await.expect("the database is there");
        keys_rest(app).await;
        jobs_are_done(app).await;
    }
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM transfer_intent WHERE status = 'PENDING')
              + (SELECT count(*) FROM refund_intent WHERE status = 'PENDING')
              + (SELECT count(*) FROM payment_session WHERE status = 'CREATING')
              + (SELECT count(*) FROM stripe_event WHERE processed_at IS NULL)
              + (SELECT count(*) FROM job WHERE state = 'DEAD')",
    )
    .fetch_one(&app.pool)
    .await
    .expect("the rows can be counted");
    assert_eq!(left, 0, "something was begun and never ended");
}

/// What Stripe has seen: nothing twice, and nothing kept that should have gone back.
fn check_books(app: &TestApp) {
    let books = app.stripe.books();
    let (mut transfers, mut open, mut kept) = (HashMap::new(), HashMap::new(), HashMap::new());
    for transfer in &books.transfers {
        *transfers.entry(transfer.metadata["checkpointId"].clone()).or_insert(0) += 1;
    }
    for session in &books.sessions {
        let posting = session.metadata["jobPostingId"].clone();
        if session.status == SessionStatus::Open {
            *open.entry(posting.clone()).or_insert(0) += 1;
        }
        if let Some(payment) = &session.payment_intent {
            let ours = books.refunds_of(payment).iter().filter(|refund| !refund.from_dashboard).count();
            assert!(ours <= 1, "a payment was refunded twice");
            *kept.entry(posting).or_insert(0) += i32::from(books.refunds_of(payment).is_empty());
        }
    }
    assert!(transfers.values().all(|count| *count == 1), "a checkpoint was paid twice: {transfers:?}");
    assert!(open.values().all(|count| *count == 1), "two payment pages of a posting are open: {open:?}");
    assert!(kept.values().all(|count| *count <= 1), "two payments of a posting were kept: {kept:?}");
}
