//! What each call sends and reads.

use std::collections::BTreeMap;

use freehunt_stripe::{
    CheckoutRequest, NewAccount, PaymentStatus, RefundRequest, SessionStatus, StripeError, TransferRequest,
};
use serde_json::{Value, json};

use crate::server::{KEY, Reply, Server};

pub fn checkout_request() -> CheckoutRequest {
    CheckoutRequest {
        job_posting_id: "posting-1".to_owned(),
        company_id: "company-1".to_owned(),
        title: "Publication d'annonce: Développeur Rust & co".to_owned(),
        amount_cents: 1999,
        customer_email: "acme+x@example.com".to_owned(),
        success_url: "http://localhost:5173/ok?a=1&b=2".to_owned(),
        cancel_url: "http://localhost:5173/no".to_owned(),
        expires_at: 1_795_348_422,
        metadata: BTreeMap::from([
            ("attempt".to_owned(), "1".to_owned()),
            ("jobPostingId".to_owned(), "not this one".to_owned()),
        ]),
    }
}

pub fn transfer_request() -> TransferRequest {
    TransferRequest {
        amount_cents: 946,
        destination: "acct_alice".to_owned(),
        source_transaction: Some("ch_1".to_owned()),
        transfer_group: "posting-1".to_owned(),
        checkpoint_id: "checkpoint-1".to_owned(),
        intent_id: "intent-1".to_owned(),
        description: "Paiement checkpoint - Montant brut: 10€".to_owned(),
    }
}

pub fn session(status: &str) -> Value {
    json!({
        "id": "cs_test_1", "object": "checkout.session", "automatic_tax": {"enabled": true}, "created": 1_795_344_822,
        "custom_fields": [], "custom_text": {}, "expires_at": 1_795_348_422, "livemode": false, "mode": "payment",
        "payment_method_types": ["card"], "payment_status": "unpaid", "shipping_options": [], "status": status,
        "amount_subtotal": 1999, "amount_total": 2399, "currency": "eur", "client_reference_id": "posting-1",
        "metadata": {"jobPostingId": "posting-1"}, "payment_intent": null,
        "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    })
}

fn transfer(id: &str) -> Value {
    json!({
        "id": id, "object": "transfer", "amount": 946, "amount_reversed": 0, "created": 1, "currency": "eur",
        "destination": "acct_alice", "livemode": false, "metadata": {"checkpointId": "checkpoint-1"},
        "reversals": {"object": "list", "data": [], "has_more": false, "url": "/v1/transfers/tr/reversals"},
        "reversed": false, "source_transaction": "ch_1", "transfer_group": "posting-1",
    })
}

fn list(data: Vec<Value>, has_more: bool) -> Value {
    json!({"object": "list", "data": data, "has_more": has_more, "url": "/v1/list"})
}

fn form(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_checkout_session_is_asked_for_with_exactly_the_specified_parameters() {
    let server = Server::start([Reply::Json(200, session("open"))]).await;
    let made = server.client().create_checkout_session(&checkout_request(), "checkout:posting-1:1").await.unwrap();

    let request = server.only_request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/checkout/sessions"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.idempotency_key(), Some("checkout:posting-1:1"));
    let expected = form(&[
        ("mode", "payment"),
        ("allowed_payment_method_types[0]", "card"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "eur"),
        ("line_items[0][price_data][unit_amount]", "1999"),
        ("line_items[0][price_data][tax_behavior]", "exclusive"),
        ("line_items[0][price_data][product_data][name]", "Publication d'annonce: Développeur Rust & co"),
        ("automatic_tax[enabled]", "true"),
        ("adaptive_pricing[enabled]", "false"),
        ("invoice_creation[enabled]", "true"),
        ("customer_email", "acme+x@example.com"),
        ("client_reference_id", "posting-1"),
        ("metadata[jobPostingId]", "posting-1"),
        ("metadata[companyId]", "company-1"),
        ("metadata[type]", "job_posting_payment"),
        ("metadata[attempt]", "1"),
        ("payment_intent_data[transfer_group]", "posting-1"),
        ("payment_intent_data[metadata][jobPostingId]", "posting-1"),
        ("payment_intent_data[metadata][companyId]", "company-1"),
        ("payment_intent_data[metadata][type]", "job_posting_payment"),
        ("payment_intent_data[metadata][attempt]", "1"),
        ("success_url", "http://localhost:5173/ok?a=1&b=2"),
        ("cancel_url", "http://localhost:5173/no"),
        ("expires_at", "1795348422"),
    ]);
    assert_eq!(request.form, expected);

    assert_eq!((made.id.as_str(), made.status), ("cs_test_1", SessionStatus::Open));
    assert_eq!(made.payment_status, PaymentStatus::Unpaid);
    assert_eq!(
        (made.amount_subtotal, made.amount_total, made.currency.as_deref()),
        (Some(1999), Some(2399), Some("eur"))
    );
    assert_eq!(made.url.as_deref(), Some("https://checkout.stripe.com/c/pay/cs_test_1"));
    assert_eq!((made.client_reference_id.as_deref(), made.expires_at), (Some("posting-1"), 1_795_348_422));
}

#[tokio::test]
async fn an_open_session_is_expired_and_an_expired_one_stays_so() {
    let refusal = json!({"error": {
        "message": "Only Checkout Sessions with a status in [\"open\"] can be expired.", "type": "invalid_request_error",
    }});
    let server = Server::start([
        Reply::Json(200, session("expired")),
        Reply::Json(400, refusal.clone()),
        Reply::Json(200, session("expired")),
        Reply::Json(400, refusal.clone()),
        Reply::Json(200, session("complete")),
        Reply::Json(400, refusal),
        Reply::Json(200, session("open")),
    ])
    .await;
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(client.expire_checkout_session("cs_test_1").await.unwrap().status, SessionStatus::Expired);
    }
    let paid = client.expire_checkout_session("cs_test_1").await.unwrap_err();
    assert!(paid.is_session_complete() && paid.is_final(), "{paid}");
    let odd = client.expire_checkout_session("cs_test_1").await.unwrap_err();
    assert!(odd.is_final() && !odd.is_session_complete(), "{odd}");

    let received = server.received();
    assert_eq!(received[0].path, "/v1/checkout/sessions/cs_test_1/expire");
    assert_eq!((received[2].method.as_str(), received[2].path.as_str()), ("GET", "/v1/checkout/sessions/cs_test_1"));
    assert!(received[0].idempotency_key().is_some());
    assert_ne!(received[0].idempotency_key(), received[1].idempotency_key());
    assert_eq!(received[2].idempotency_key(), None);
}

#[tokio::test]
async fn a_payment_is_read_with_its_charge() {
    let payment = json!({
        "id": "pi_1", "object": "payment_intent", "amount": 2399, "amount_capturable": 0, "amount_received": 2399,
        "capture_method": "automatic", "confirmation_method": "automatic", "created": 1, "currency": "eur",
        "latest_charge": "ch_1", "livemode": true, "metadata": {}, "payment_method_types": ["card"],
        "status": "succeeded",
    });
    let server = Server::start([Reply::Json(200, payment)]).await;
    let payment = server.client().get_payment_intent("pi_1").await.unwrap();
    assert_eq!((payment.latest_charge.as_deref(), payment.amount_received), (Some("ch_1"), 2399));
    assert_eq!((payment.status.as_str(), payment.livemode), ("succeeded", true));
    assert_eq!(server.only_request().path, "/v1/payment_intents/pi_1");
}

#[tokio::test]
async fn an_account_is_made_read_and_linked() {
    let account = json!({
        "id": "acct_1", "object": "account", "charges_enabled": false, "payouts_enabled": true,
        "details_submitted": true, "capabilities": {"transfers": "active"}, "metadata": {"freelanceId": "f-1"},
    });
    let link =
        json!({"object": "account_link", "created": 5, "expires_at": 305, "url": "https://connect.stripe.com/x"});
    let server =
        Server::start([Reply::Json(200, account.clone()), Reply::Json(200, account), Reply::Json(200, link)]).await;
    let client = server.client();
    let new = NewAccount { email: "a@b.fr".to_owned(), freelance_id: "f-1".to_owned(), name: "Alice B".to_owned() };
    let made = client.create_account(&new, "account:f-1").await.unwrap();
    assert_eq!(client.get_account("acct_1").await.unwrap(), made);
    assert!(made.transfers_active && made.payouts_enabled && made.details_submitted && !made.charges_enabled);
    let link = client.create_account_link("acct_1", "https://f/refresh", "https://f/return?x=1").await.unwrap();
    assert_eq!((link.url.as_str(), link.created, link.expires_at), ("https://connect.stripe.com/x", 5, 305));

    let received = server.received();
    assert_eq!((received[0].path.as_str(), received[0].idempotency_key()), ("/v1/accounts", Some("account:f-1")));
    let expected = form(&[
        ("type", "express"),
        ("country", "FR"),
        ("email", "a@b.fr"),
        ("capabilities[transfers][requested]", "true"),
        ("business_profile[name]", "Alice B"),
        ("metadata[freelanceId]", "f-1"),
    ]);
    assert_eq!(received[0].form, expected);
    assert_eq!(received[1].path, "/v1/accounts/acct_1");
    assert_eq!(received[2].path, "/v1/account_links");
    assert!(received[2].idempotency_key().is_some());
    let expected = form(&[
        ("account", "acct_1"),
        ("type", "account_onboarding"),
        ("refresh_url", "https://f/refresh"),
        ("return_url", "https://f/return?x=1"),
    ]);
    assert_eq!(received[2].form, expected);
}

#[tokio::test]
async fn a_transfer_names_its_charge_group_and_intent() {
    let server = Server::start([Reply::Json(200, transfer("tr_1"))]).await;
    let made = server.client().create_transfer(&transfer_request(), "transfer:checkpoint-1").await.unwrap();
    assert_eq!((made.id.as_str(), made.amount_cents, made.destination.as_str()), ("tr_1", 946, "acct_alice"));
    assert_eq!((made.reversed, made.source_transaction.as_deref()), (false, Some("ch_1")));
    assert_eq!(made.metadata["checkpointId"], "checkpoint-1");

    let request = server.only_request();
    assert_eq!((request.path.as_str(), request.idempotency_key()), ("/v1/transfers", Some("transfer:checkpoint-1")));
    let expected = form(&[
        ("amount", "946"),
        ("currency", "eur"),
        ("destination", "acct_alice"),
        ("source_transaction", "ch_1"),
        ("transfer_group", "posting-1"),
        ("metadata[checkpointId]", "checkpoint-1"),
        ("metadata[intentId]", "intent-1"),
        ("description", "Paiement checkpoint - Montant brut: 10€"),
    ]);
    assert_eq!(request.form, expected);
}

#[tokio::test]
async fn all_pages_of_transfers_are_read() {
    let server = Server::start([
        Reply::Json(200, list(vec![transfer("tr_3"), transfer("tr_2")], true)),
        Reply::Json(200, list(vec![transfer("tr_1")], false)),
    ])
    .await;
    let transfers = server.client().list_transfers("posting-1").await.unwrap();
    assert_eq!(transfers.iter().map(|transfer| transfer.id.as_str()).collect::<Vec<_>>(), ["tr_3", "tr_2", "tr_1"]);
    let received = server.received();
    assert_eq!(received[0].query, form(&[("transfer_group", "posting-1"), ("limit", "100")]));
    let expected = form(&[("transfer_group", "posting-1"), ("limit", "100"), ("starting_after", "tr_2")]);
    assert_eq!(received[1].query, expected);
}

#[tokio::test]
async fn a_refund_is_made_and_listed() {
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": 2399, "created": 1, "currency": "eur", "payment_intent": "pi_1",
        "status": "pending", "metadata": {"intentId": "intent-1"}, "charge": "ch_1",
    });
    let mut without_status = refund.clone();
    without_status["status"] = Value::Null;
    let page = list(vec![refund.clone(), without_status], false);
    let server = Server::start([Reply::Json(200, refund), Reply::Json(200, page)]).await;
    let client = server.client();
    let request = RefundRequest {
        payment_intent: "pi_1".to_owned(),
        amount_cents: Some(2399),
        metadata: BTreeMap::from([("intentId".to_owned(), "intent-1".to_owned())]),
    };
    let made = client.create_refund(&request, "refund:pi_1").await.unwrap();
    assert_eq!((made.id.as_str(), made.amount_cents, made.status.as_str()), ("re_1", 2399, "pending"));
    assert_eq!(made.payment_intent.as_deref(), Some("pi_1"));
    assert_eq!(client.list_refunds("pi_1").await.unwrap(), [made.clone(), made]);

    let received = server.received();
    assert_eq!((received[0].path.as_str(), received[0].idempotency_key()), ("/v1/refunds", Some("refund:pi_1")));
    let expected = form(&[("payment_intent", "pi_1"), ("amount", "2399"), ("metadata[intentId]", "intent-1")]);
    assert_eq!(received[0].form, expected);
    assert_eq!(received[1].query, form(&[("payment_intent", "pi_1"), ("limit", "100")]));
}

#[tokio::test]
async fn the_check_reads_the_balance_in_euros() {
    let balance = json!({
        "object": "balance", "livemode": false, "pending": [{"amount": 7, "currency": "eur"}],
        "available": [{"amount": 500, "currency": "eur"}, {"amount": 900, "currency": "usd"}],
    });
    let server = Server::start([Reply::Json(200, balance.clone()), Reply::Json(200, balance)]).await;
    let client = server.client();
    client.check().await.unwrap();
    let balance = client.get_balance().await.unwrap();
    assert_eq!((balance.available_cents, balance.pending_cents, balance.livemode), (500, 7, false));
    assert_eq!(server.received()[0].path, "/v1/balance");
}

#[tokio::test]
async fn what_cannot_be_valid_is_not_sent() {
    let server = Server::start([]).await;
    let client = server.client();
    let refused = |result: Result<(), StripeError>| matches!(result, Err(StripeError::Invalid { .. }));
    for id in ["", "cs_1/expire", "../accounts", "cs_1?x=1", "cs 1", "cs_1\r\n", &"c".repeat(256)] {
        assert!(refused(client.get_checkout_session(id).await.map(drop)), "{id:?}");
        assert!(refused(client.get_account(id).await.map(drop)), "{id:?}");
    }
    for key in ["", &"k".repeat(256)] {
        assert!(refused(client.create_transfer(&transfer_request(), key).await.map(drop)));
    }
    for amount_cents in [0, -1] {
        let checkout = CheckoutRequest { amount_cents, ..checkout_request() };
        assert!(refused(client.create_checkout_session(&checkout, "k").await.map(drop)));
        let transfer = TransferRequest { amount_cents, ..transfer_request() };
        assert!(refused(client.create_transfer(&transfer, "k").await.map(drop)));
    }
    assert!(server.received().is_empty());
}
