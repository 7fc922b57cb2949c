//! The stand-in's objects against the types that are generated from Stripe's own description of its API: an object they
//! cannot be read from is one that the real Stripe would never send.

use freehunt_tests::{Persona, TestApp};
use miniserde::Deserialize;
use serde_json::Value;

use crate::money::{advance, open_session};

/// Everything that the stand-in has a word for: paid, declined, expired, transferred, reversed, refunded, disputed.
async fn live_through_everything(app: &TestApp) {
    let (acme, alice) = (app.company("acme").await, app.freelance("alice").await);
    let posting = app.published_posting(&acme, &[10_000, 20_000]).await;
    app.accepted_project(posting, &alice, &acme).await;
    advance(&acme, app.checkpoint_ids(posting).await[0]).await.expect(200);
    app.stripe.reverse_transfer(&app.stripe.books().transfers[0].id, Some(100)).unwrap();
    app.stripe.decline(&open_unpaid(app, &acme).await).unwrap();
    app.stripe.expire(&open_unpaid(app, &acme).await).unwrap();
    let canceled = app.published_posting(&acme, &[10_000]).await;
    crate::money::cancel(&acme, canceled).await.expect(201);
    let refund = app.stripe.books().refunds[0].id.clone();
    app.stripe.set_refund_status(&refund, "failed").unwrap();
    app.stripe.set_refund_status(&refund, "succeeded").unwrap();
    let dispute = app.stripe.dispute(&app.stripe.books().charges[0].id).unwrap();
    app.stripe.close_dispute(&dispute, true).unwrap();
    app.stripe.set_dispute_status(&dispute, "lost").unwrap();
    app.stripe.set_dispute_status(&dispute, "won").unwrap();
    let inquiry = app.stripe.inquire(&app.stripe.books().charges[0].id, 100).unwrap();
    app.stripe.set_dispute_status(&inquiry, "needs_response").unwrap();
    app.stripe.restrict(&app.stripe.books().accounts[0].id).unwrap();
    app.stripe.wait_until_delivered().await;
    crate::money::jobs_are_done(app).await;
}

async fn open_unpaid(app: &TestApp, owner: &Persona) -> String {
    let posting = app.unpaid_posting(owner, &[10_000]).await;
    open_session(owner, posting).await
}

fn reads<T: Deserialize>(object: &Value) -> bool {
    miniserde::json::from_str::<T>(&object.to_string()).is_ok()
}

fn is_stripes(object: &Value) -> bool {
    match object["object"].as_str() {
        Some("account") => reads::<stripe_shared::Account>(object),
        Some("charge") => reads::<stripe_shared::Charge>(object),
        Some("checkout.session") => reads::<stripe_shared::CheckoutSession>(object),
        Some("dispute") => reads::<stripe_shared::Dispute>(object),
        Some("payment_intent") => reads::<stripe_shared::PaymentIntent>(object),
        Some("refund") => reads::<stripe_shared::Refund>(object),
        Some("transfer") => reads::<stripe_shared::Transfer>(object),
        _ => false,
    }
}

#[tokio::test]
async fn every_event_is_one_that_stripe_could_send() {
    TestApp::run(async |app| {
        live_through_everything(app).await;
        let mut kinds = Vec::new();
        for told in app.stripe.events() {
            let event: Value = serde_json::from_str(&told.body).unwrap();
            assert!(reads::<stripe_shared::Event>(&event), "the envelope of {}: {}", told.kind, told.body);
            let object = &event["data"]["object"];
            assert!(is_stripes(object), "{}: {object}", told.kind);
            // References in events are ids: nothing is expanded there.
            for reference in ["payment_intent", "charge", "latest_charge", "destination", "source_transaction"] {
                let is_id = object.get(reference).is_none_or(|value| value.is_string() || value.is_null());
                assert!(is_id, "{}: {reference} in {object}", told.kind);
            }
            kinds.push(told.kind);
        }
        kinds.sort();
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                "account.updated",
                "charge.dispute.closed",
                "charge.dispute.created",
                "charge.dispute.funds_reinstated",
                "charge.dispute.funds_withdrawn",
                "charge.dispute.updated",
                "charge.refunded",
                "checkout.session.completed",
                "checkout.session.expired",
                "payment_intent.payment_failed",
                "refund.created",
                "refund.failed",
                "refund.updated",
                "transfer.created",
                "transfer.reversed",
            ]
        );
    })
    .await;
}
