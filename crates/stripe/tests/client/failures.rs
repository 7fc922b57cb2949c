//! What the client makes of answers that are not a success, and of none.

use std::time::{Duration, Instant};

use freehunt_stripe::{BuildError, Stripe, StripeError, StripeSettings, UnknownReason};
use serde_json::{Value, json};

use crate::{
    calls::{checkout_request, session, transfer_request},
    server::{KEY, Reply, Server, client},
};

fn error(fields: Value) -> Value {
    json!({ "error": fields })
}

fn api_error() -> Value {
    error(json!({"type": "api_error", "message": "An unknown error occurred"}))
}

async fn transfer_answered_with(replies: Vec<Reply>) -> (StripeError, usize) {
    let server = Server::start(replies).await;
    let error = server.client().create_transfer(&transfer_request(), "transfer:checkpoint-1").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY));
    (error, server.received().len())
}

/// Fault case 104.
#[tokio::test]
async fn a_server_error_is_repeated_with_the_same_key_and_parameters() {
    let server = Server::start([
        Reply::Json(500, api_error()),
        Reply::Text(502, "<html>Bad Gateway</html>"),
        Reply::Json(200, session("open")),
    ])
    .await;
    let made = server.client().create_checkout_session(&checkout_request(), "checkout:posting-1:1").await.unwrap();
    assert_eq!(made.id, "cs_test_1");
    let received = server.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(request.idempotency_key(), Some("checkout:posting-1:1"));
        assert_eq!(request.form, received[0].form);
    }
}

/// Fault case 104.
#[tokio::test]
async fn repetitions_are_bounded_and_the_outcome_stays_unknown() {
    let in_progress = error(json!({
        "type": "idempotency_error", "code": "idempotency_key_in_use", "message": "There is currently another request",
    }));
    let limited = error(json!({"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests"}));
    let cases = [
        (Reply::Json(500, api_error()), UnknownReason::ServerError { status: 500 }, true),
        (Reply::Json(503, api_error()), UnknownReason::ServerError { status: 503 }, true),
        (Reply::Json(409, in_progress), UnknownReason::InProgress, false),
        (Reply::Json(429, limited), UnknownReason::RateLimited, false),
        (Reply::Text(503, "<html>not Stripe</html>"), UnknownReason::UnreadableAnswer, true),
        (Reply::Text(200, "{\"id\":\"tr_1\",\"amou"), UnknownReason::UnreadableAnswer, true),
        (Reply::Text(200, ""), UnknownReason::UnreadableAnswer, true),
    ];
    let mut checks = tokio::task::JoinSet::new();
    for (reply, reason, may_be_stored) in cases {
        checks.spawn(async move {
            let (error, requests) = transfer_answered_with(vec![reply.clone(), reply.clone(), reply]).await;
            assert_eq!((error.is_final(), error.may_be_stored(), requests), (false, may_be_stored, 3), "{error}");
            assert_eq!(error, StripeError::Unknown { reason });
        });
    }
    checks.join_all().await;
}

/// Fault case 104.
#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Server::start([Reply::Never]).await;
    let start = Instant::now();
    let client = client(server.address(), Duration::from_millis(200));
    let error = client.create_transfer(&transfer_request(), "transfer:checkpoint-1").await.unwrap_err();
    assert_eq!(error, StripeError::Unknown { reason: UnknownReason::Timeout });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.received().len(), 1);
}

/// Fault case 104.
#[tokio::test]
async fn the_time_limit_covers_the_repetitions() {
    let server = Server::start([Reply::Json(500, api_error()), Reply::Never]).await;
    let client = client(server.address(), Duration::from_millis(500));
    let start = Instant::now();
    let error = client.get_checkout_session("cs_test_1").await.unwrap_err();
    assert_eq!(error, StripeError::Unknown { reason: UnknownReason::Timeout });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.received().len(), 2);
}

/// Fault case 104.
#[tokio::test]
async fn a_refused_connection_leaves_the_outcome_unknown() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&address, Duration::from_secs(5)).check().await.unwrap_err();
    assert!(matches!(error, StripeError::Unknown { reason: UnknownReason::Connection(_) }), "{error}");
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_its_code() {
    let card = error(json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.",
    }));
    let (error_402, requests) = transfer_answered_with(vec![Reply::Json(402, card)]).await;
    assert!(error_402.is_final());
    assert_eq!((error_402.status(), error_402.code(), requests), (Some(402), Some("card_declined"), 1));
    assert!(matches!(
        &error_402,
        StripeError::Refused { decline_code: Some(decline), error_type: Some(kind), .. }
            if decline == "insufficient_funds" && kind == "card_error"
    ));

    let balance = error(json!({"type": "invalid_request_error", "code": "balance_insufficient", "message": "m"}));
    let (error_400, requests) = transfer_answered_with(vec![Reply::Json(400, balance)]).await;
    assert!(error_400.is_final() && error_400.is_insufficient_balance());
    assert_eq!(requests, 1);

    let missing = error(
        json!({"type": "invalid_request_error", "code": "resource_missing", "message": "m", "param": "destination"}),
    );
    let (error_404, _) = transfer_answered_with(vec![Reply::Json(404, missing)]).await;
    assert!(error_404.is_missing());
    assert!(matches!(error_404, StripeError::Refused { param: Some(param), .. } if param == "destination"));

    let newer = error(json!({"type": "invalid_request_error", "code": "invented_later", "message": "m"}));
    let (unknown_code, _) = transfer_answered_with(vec![Reply::Json(400, newer)]).await;
    assert_eq!(unknown_code.code(), Some("invented_later"));

    let reused =
        error(json!({"type": "idempotency_error", "message": "Keys for idempotent requests can only be used…"}));
    let (mismatch, _) = transfer_answered_with(vec![Reply::Json(400, reused)]).await;
    assert!(mismatch.is_final() && mismatch.is_idempotency_mismatch());

    let refunded = error(json!({"type": "invalid_request_error", "code": "charge_already_refunded", "message": "m"}));
    let (already, _) = transfer_answered_with(vec![Reply::Json(400, refunded)]).await;
    assert!(already.is_already_refunded());
}

/// Fault case 105.
#[tokio::test]
async fn a_wrong_key_is_told_apart_and_never_shown() {
    let message = format!("Invalid API Key provided: {KEY}");
    let invalid = error(json!({"type": "invalid_request_error", "message": message}));
    let (unauthorized, requests) = transfer_answered_with(vec![Reply::Json(401, invalid.clone())]).await;
    assert_eq!((unauthorized, requests), (StripeError::Authentication, 1));
    let (forbidden, _) = transfer_answered_with(vec![Reply::Json(403, invalid.clone())]).await;
    assert_eq!(forbidden, StripeError::Authentication);
    assert!(!forbidden.is_final());

    let gone = error(json!({"type": "invalid_request_error", "code": "account_invalid", "message": message}));
    let (gone, _) = transfer_answered_with(vec![Reply::Json(403, gone)]).await;
    assert!(gone.is_final());
    assert_eq!(gone.code(), Some("account_invalid"));
    let (echoed, _) = transfer_answered_with(vec![Reply::Json(400, invalid)]).await;
    assert!(echoed.to_string().contains("[key]"), "{echoed}");
}

#[test]
fn the_key_is_not_shown_by_debug_output() {
    let settings = StripeSettings {
        secret_key: KEY.into(),
        api_url: "http://h".parse().unwrap(),
        timeout: Duration::from_secs(1),
    };
    assert!(!format!("{settings:?}").contains("secret"));
    assert!(!format!("{:?}", Stripe::new(settings).unwrap()).contains(KEY));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let build = |key: &str, url: &str, seconds| {
        let settings = StripeSettings {
            secret_key: key.into(),
            api_url: url.parse().unwrap(),
            timeout: Duration::from_secs(seconds),
        };
        Stripe::new(settings).map(drop)
    };
    assert_eq!(build(KEY, "https://api.stripe.com", 10), Ok(()));
    assert_eq!(build("", "https://api.stripe.com", 10), Err(BuildError::EmptyKey));
    assert_eq!(build(" ", "https://api.stripe.com", 10), Err(BuildError::EmptyKey));
    assert_eq!(build("sk_test_1\n", "https://api.stripe.com", 10), Err(BuildError::InvalidKey));
    assert_eq!(build(KEY, "ftp://api.stripe.com", 10), Err(BuildError::InvalidUrl));
    assert_eq!(build(KEY, "https://api.stripe.com", 0), Err(BuildError::ZeroTimeout));
}

#[tokio::test]
async fn a_path_in_the_address_is_kept() {
    let server = Server::start([Reply::Json(200, session("open"))]).await;
    let client = client(&format!("{}/stripe", server.address()), Duration::from_secs(5));
    client.get_checkout_session("cs_test_1").await.unwrap();
    assert_eq!(server.only_request().path, "/stripe/v1/checkout/sessions/cs_test_1");
}
