//! The stand-in over real HTTP: what the real Stripe answers, refuses, remembers and sends.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::stand_in::Misbehaviour;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECRET: &str = "whsec_test";

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn settings() -> StripeStandInSettings {
    let retry = RetryPolicy {
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        attempts: 10,
        timeout: Duration::from_secs(5),
    };
    StripeStandInSettings { webhook_secret: SECRET.to_owned(), retry, ..StripeStandInSettings::default() }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.body)).to_owned()
    }

    fn replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}

/// A stand-in and a client of it.
struct Bench {
    stripe: StripeStandIn,
    client: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        Self::with(settings()).await
    }

    async fn with(settings: StripeStandInSettings) -> Self {
        let stripe = StripeStandIn::start(listener().await, settings).unwrap();
        let builder = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy();
        Self { stripe, client: builder.redirect(Policy::none()).build().unwrap() }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.stripe.url())).bearer_auth("sk_test_123")
    }

    async fn try_post(&self, path: &str, key: Option<&str>, form: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let mut request = self.request(reqwest::Method::POST, path).form(form);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        read(request.send().await?).await
    }

    async fn keyed(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(path, Some(key), form).await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(path, None, form).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        read(self.request(reqwest::Method::GET, path).send().await.unwrap()).await.unwrap()
    }

    async fn page(&self, url: &str) -> (u16, String) {
        let response = self.client.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn submit(&self, url: &str) -> (u16, String) {
        let response = self.client.post(url).send().await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    }

    async fn session(&self, cents: &str) -> Answer {
        let answer = self.post("/v1/checkout/sessions", &session_form(cents)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    async fn paid(&self, cents: &str) -> Paid {
        let session = self.session(cents).await.id();
        self.stripe.pay(&session).unwrap()
    }

    async fn account(&self) -> String {
        let id = self.post("/v1/accounts", &[("type", "express"), ("country", "FR")]).await.id();
        self.stripe.finish_onboarding(&id).unwrap();
        id
    }
}

async fn read(response: reqwest::Response) -> reqwest::Result<Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?;
    Ok(Answer { status, headers, body: serde_json::from_slice(&body).unwrap() })
}

fn session_form(cents: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("mode", "payment"),
        ("success_url", "http://front.test/project/payment-success?session_id={CHECKOUT_SESSION_ID}&x=1"),
        ("cancel_url", "http://front.test/dashboard?payment=cancelled"),
        ("customer_email", "company@example.com"),
        ("client_reference_id", "posting-1"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "eur"),
        ("line_items[0][price_data][unit_amount]", cents),
        ("line_items[0][price_data][tax_behavior]", "exclusive"),
        ("line_items[0][price_data][product_data][name]", "Site <b>vitrine</b>"),
        ("automatic_tax[enabled]", "true"),
        ("invoice_creation[enabled]", "true"),
        ("allowed_payment_method_types[0]", "card"),
        ("metadata[jobPostingId]", "posting-1"),
        ("payment_intent_data[transfer_group]", "posting-1"),
        ("payment_intent_data[metadata][jobPostingId]", "posting-1"),
    ]
}

/// An endpoint that records webhooks and answers the prepared statuses first, then 200.
#[derive(Clone, Default)]
struct Endpoint {
    received: Arc<Mutex<Vec<(String, String)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Endpoint {
    async fn start() -> (Self, String) {
        let endpoint = Self::default();
        let listener = listener().await;
        let url = format!("http://{}/stripe/webhook", listener.local_addr().unwrap());
        let router = Router::new().route("/stripe/webhook", post(Self::receive)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, url)
    }

    async fn receive(State(endpoint): State<Self>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
        endpoint.received.lock().unwrap().push((signature, String::from_utf8(body.to_vec()).unwrap()));
        let status = endpoint.answers.lock().unwrap().pop_front().unwrap_or(200);
        StatusCode::from_u16(status).unwrap()
    }

    fn answer_first(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    fn received(&self) -> Vec<(String, String)> {
        self.received.lock().unwrap().clone()
    }

    fn events(&self) -> Vec<Value> {
        self.received().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_customer_pays_on_the_page() {
    let (endpoint, url) = Endpoint::start().await;
    let bench = Bench::with(StripeStandInSettings { webhook_targets: vec![url], ..settings() }).await;
    let session = bench.session("199899").await;
    let (id, pay_url) = (session.id(), session.body["url"].as_str().unwrap().to_owned());
    assert_eq!(pay_url, format!("{}/pay/{id}", bench.stripe.url()));
    assert_eq!(
        (session.body["status"].as_str(), session.body["payment_status"].as_str()),
        (Some("open"), Some("unpaid"))
    );

    let (status, html) = bench.page(&pay_url).await;
    assert_eq!(status, 200);
    for text in [">Payer</button>", ">Annuler</a>", "1\u{202f}998,99\u{a0}€", "Site &lt;b&gt;vitrine&lt;/b&gt;"] {
        assert!(html.contains(text), "{text} not in {html}");
    }
    let (status, location) = bench.submit(&pay_url).await;
    assert_eq!(status, 303);
    assert_eq!(location, format!("http://front.test/project/payment-success?session_id={id}&x=1"));
    // A second click goes to the same place and pays nothing.
    assert_eq!(bench.submit(&pay_url).await, (303, location));

    let books = bench.stripe.books();
    assert_eq!((books.payment_intents.len(), books.charges.len()), (1, 1));
    assert_eq!(books.paid_sessions_of_posting("posting-1").len(), 1);
    let session = bench.get(&format!("/v1/checkout/sessions/{id}?expand[]=payment_intent.latest_charge")).await.body;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(session["url"], Value::Null);
    let charge = &session["payment_intent"]["latest_charge"];
    assert_eq!((&charge["amount"], &charge["transfer_group"]), (&json!(199_899), &json!("posting-1")));

    bench.stripe.wait_until_delivered().await;
    let [(signature, body)] = &endpoint.received()[..] else { panic!("one webhook expected") };
    let timestamp: i64 = signature.split([',', '=']).nth(1).unwrap().parse().unwrap();
    assert_eq!(*signature, sign(body, SECRET, timestamp));
    assert!((chrono::Utc::now().timestamp() - timestamp).abs() < 60);
    let event: Value = serde_json::from_str(body).unwrap();
    assert_eq!(event["type"], "checkout.session.completed");
    assert_eq!((&event["api_version"], &event["livemode"]), (&json!(API_VERSION), &json!(false)));
    assert_eq!(event["data"]["object"]["id"], json!(id));
    assert_eq!(event["data"]["object"]["amount_subtotal"], json!(199_899));
}

/// Fault case 98, on Stripe's side.
#[tokio::test]
async fn wrong_parameters_are_refused_as_stripe_does() {
    let bench = Bench::start().await;
    let now = chrono::Utc::now().timestamp();
    let (soon, late) = ((now + 60).to_string(), (now + 90_000).to_string());
    let amount = "line_items[0][price_data][unit_amount]";
    let cases: Vec<(&str, Option<&str>, &str, &str)> = vec![
        (amount, Some("1998.99"), "parameter_invalid_integer", amount),
        (amount, Some("-100"), "parameter_invalid_integer", amount),
        (amount, Some("49"), "amount_too_small", amount),
        (amount, Some("100000000"), "amount_too_large", amount),
        (amount, None, "parameter_missing", amount),
        ("line_items[0][quantity]", None, "parameter_missing", "line_items[0][quantity]"),
        ("line_items[0][amount]", Some("500"), "parameter_unknown", "line_items[0][amount]"),
        ("foo", Some("1"), "parameter_unknown", "foo"),
        ("payment_method_types[0]", Some("card"), "parameter_unknown", "payment_method_types[0]"),
        ("allowed_payment_method_types[0]", Some("gold"), "", "allowed_payment_method_types[0]"),
        ("mode", None, "parameter_missing", "mode"),
        ("success_url", None, "parameter_missing", "success_url"),
        ("success_url", Some("javascript:alert(1)"), "url_invalid", "success_url"),
        ("customer_email", Some("nobody"), "email_invalid", "customer_email"),
        ("customer_email", Some(""), "parameter_invalid_empty", "customer_email"),
        ("line_items[0][price_data][currency]", Some("usd"), "", "line_items[0][price_data][currency]"),
        ("automatic_tax[enabled]", Some("yes"), "", "automatic_tax[enabled]"),
        ("expires_at", Some(&soon), "", "expires_at"),
        ("expires_at", Some(&late), "", "expires_at"),
    ];
    for (name, value, code, param) in cases {
        let mut form = session_form("5000");
        form.retain(|(existing, _)| *existing != name);
        form.extend(value.map(|value| (name, value)));
        let answer = bench.post("/v1/checkout/sessions", &form).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{name} {value:?}: {}", answer.body);
        assert_eq!(answer.body["error"]["type"], "invalid_request_error");
        assert_eq!(answer.body["error"]["param"], json!(param));
        assert!(answer.headers.contains_key("request-id"));
    }
    let answer = bench.post("/v1/checkout/sessions", &session_form("1998.99")).await;
    assert_eq!(answer.body["error"]["message"], "Invalid integer: 1998.99");
    assert!(bench.stripe.books().sessions.is_empty());

    let json = bench.request(reqwest::Method::POST, "/v1/checkout/sessions").header("content-type", "application/json");
    assert_eq!(json.body("{}").send().await.unwrap().status(), 400);
    assert_eq!(bench.get("/v1/nothing").await.status, 404);
    assert_eq!(bench.get("/v1/checkout/sessions/cs_test_none").await.code(), "resource_missing");
    assert_eq!(bench.get("/v1/transfers?limit=500").await.status, 400);
}

/// Fault case 105, on Stripe's side.
#[tokio::test]
async fn a_wrong_api_key_is_refused_and_not_repeated() {
    let bench = Bench::start().await;
    for header in [None, Some("Bearer sk_live_very_secret"), Some("Bearer "), Some("Digest x")] {
        let mut request = bench.client.get(format!("{}/v1/balance", bench.stripe.url()));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = read(request.send().await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 401, "{header:?}");
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
    }
    let basic = bench.client.get(format!("{}/v1/balance", bench.stripe.url())).basic_auth("sk_test_1", Some(""));
    assert_eq!(basic.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_key_answers_the_same_for_24_hours() {
    let bench = Bench::start().await;
    let form = session_form("5000");
    let first = bench.keyed("/v1/checkout/sessions", "k1", &form).await;
    let mut reordered = form.clone();
    reordered.reverse();
    let again = bench.keyed("/v1/checkout/sessions", "k1", &reordered).await;
    assert_eq!(first.body, again.body);
    assert!(again.replayed() && !first.replayed());
    assert_eq!(again.headers["original-request"], first.headers["request-id"]);

    let other = bench.keyed("/v1/checkout/sessions", "k1", &session_form("6000")).await;
    assert_eq!((other.status, &other.body["error"]["type"]), (400, &json!("idempotency_error")));
    let elsewhere = bench.keyed("/v1/refunds", "k1", &form).await;
    assert_eq!((elsewhere.status, &elsewhere.body["error"]["type"]), (400, &json!("idempotency_error")));
    assert_eq!(bench.stripe.books().sessions.len(), 1);
    assert_eq!(bench.stripe.books().sessions[0].idempotency_key.as_deref(), Some("k1"));

    bench.stripe.advance_clock(DAY);
    assert_ne!(bench.keyed("/v1/checkout/sessions", "k1", &form).await.id(), first.id());
    bench.stripe.expire_idempotency_keys();
    bench.keyed("/v1/checkout/sessions", "k1", &form).await;
    assert_eq!(bench.stripe.books().sessions.len(), 3);
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() {
    let bench = Bench::start().await;
    let gate = bench.stripe.hold("/v1/checkout");
    let form = session_form("5000");
    let (first, second) = tokio::join!(bench.keyed("/v1/checkout/sessions", "k", &form), async {
        gate.reached(1).await;
        let answer = bench.keyed("/v1/checkout/sessions", "k", &form).await;
        gate.release();
        answer
    });
    assert_eq!((first.status, second.status, second.code()), (200, 409, "idempotency_key_in_use"));
    assert_eq!(bench.keyed("/v1/checkout/sessions", "k", &form).await.id(), first.id());
}

#[tokio::test]
async fn validation_frees_a_key_and_a_refusal_keeps_it() {
    let bench = Bench::start().await;
    assert_eq!(bench.keyed("/v1/checkout/sessions", "k", &session_form("1.5")).await.status, 400);
    assert_eq!(bench.keyed("/v1/checkout/sessions", "k", &session_form("150")).await.status, 200);

    let account = bench.account().await;
    let transfer = [("amount", "100"), ("currency", "eur"), ("destination", &account)];
    assert_eq!(bench.keyed("/v1/transfers", "t", &transfer).await.code(), "balance_insufficient");
    bench.stripe.add_available_balance(100);
    let again = bench.keyed("/v1/transfers", "t", &transfer).await;
    assert!(again.replayed() && again.code() == "balance_insufficient");
    assert_eq!(bench.keyed("/v1/transfers", "t:2", &transfer).await.status, 200);
}

/// Fault case 103, on Stripe's side.
#[tokio::test]
async fn a_stored_500_is_replayed() {
    let bench = Bench::start().await;
    let form = session_form("5000");
    bench.stripe.store_500_for_next("/v1/checkout/sessions");
    assert_eq!(bench.keyed("/v1/checkout/sessions", "a", &form).await.status, 500);
    let again = bench.keyed("/v1/checkout/sessions", "a", &form).await;
    assert!(again.status == 500 && again.replayed());
    assert!(bench.stripe.books().sessions.is_empty());
    assert_eq!(bench.keyed("/v1/checkout/sessions", "a:2", &form).await.status, 200);

    bench.stripe.store_500_after_work_for_next("/v1/checkout/sessions");
    assert_eq!(bench.keyed("/v1/checkout/sessions", "b", &form).await.status, 500);
    assert_eq!(bench.keyed("/v1/checkout/sessions", "b", &form).await.status, 500);
    assert_eq!(bench.stripe.books().sessions.len(), 2);
}

/// Fault case 112, on Stripe's side: the answer is lost, the work is done, the key finds it again.
#[tokio::test]
async fn a_lost_answer_is_found_by_its_key() {
    let bench = Bench::start().await;
    let (paid, account) = (bench.paid("10000").await, bench.account().await);
    let form =
        [("amount", "4000"), ("currency", "eur"), ("destination", &account), ("source_transaction", &paid.charge)];
    bench.stripe.controls().misbehave("/v1/transfers", 1, Misbehaviour::LoseAnswer);
    assert!(bench.try_post("/v1/transfers", Some("t"), &form).await.is_err());
    let again = bench.keyed("/v1/transfers", "t", &form).await;
    assert!(again.replayed());
    assert_eq!(bench.stripe.books().transfers.len(), 1);
}

#[tokio::test]
async fn transfers_need_a_destination_and_money() {
    let bench = Bench::start().await;
    let (paid, account) = (bench.paid("10000").await, bench.account().await);
    let send = async |amount: &str, destination: &str, source: Option<&str>| {
        let mut form = vec![("amount", amount), ("currency", "eur"), ("destination", destination)];
        form.extend([("metadata[checkpointId]", "cp-1"), ("description", "Jalon")]);
        form.extend(source.map(|charge| ("source_transaction", charge)));
        bench.post("/v1/transfers", &form).await
    };
    assert_eq!(send("100", "acct_none", Some(&paid.charge)).await.code(), "resource_missing");
    assert_eq!(send("100", &account, Some("ch_none")).await.code(), "resource_missing");
    assert_eq!(send("100.5", &account, Some(&paid.charge)).await.code(), "parameter_invalid_integer");
    // The charge has not settled, so nothing is available without a source.
    assert_eq!(send("100", &account, None).await.code(), "balance_insufficient");
    assert_eq!(bench.stripe.balances(), (0, 10_000));

    let transfer = send("6000", &account, Some(&paid.charge)).await;
    assert_eq!(transfer.body["transfer_group"], "posting-1");
    assert_eq!(transfer.body["reversals"]["data"], json!([]));
    let too_much = send("4001", &account, Some(&paid.charge)).await;
    assert_eq!((too_much.status, &too_much.body["error"]["param"]), (400, &json!("amount")));
    assert_eq!(send("4000", &account, Some(&paid.charge)).await.status, 200);

    let reversal = bench.post(&format!("/v1/transfers/{}/reversals", transfer.id()), &[("amount", "1000")]).await;
    assert_eq!(reversal.body["transfer"], json!(transfer.id()));
    assert_eq!(
        bench.post(&format!("/v1/transfers/{}/reversals", transfer.id()), &[("amount", "5001")]).await.status,
        400
    );
    assert_eq!(bench.get(&format!("/v1/transfers/{}", transfer.id())).await.body["amount_reversed"], json!(1000));
    bench.stripe.advance_clock(7 * DAY);
    assert_eq!(send("1000", &account, None).await.status, 200);

    // Fault case 116, on Stripe's side.
    bench.stripe.restrict(&account).unwrap();
    assert_eq!(send("1", &account, Some(&paid.charge)).await.code(), "insufficient_capabilities_for_transfer");
    bench.stripe.delete_account(&account).unwrap();
    assert_eq!(send("1", &account, Some(&paid.charge)).await.code(), "account_invalid");
    let gone = bench.get(&format!("/v1/accounts/{account}")).await;
    assert_eq!((gone.status, gone.code()), (403, "account_invalid"));
    assert_eq!(bench.stripe.books().transfers_of_checkpoint("cp-1").len(), 3);
    assert!(bench.stripe.books().overdrawn_charges().is_empty());
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let bench = Bench::start().await;
    let account = bench.account().await;
    bench.stripe.add_available_balance(1000);
    let mut ids = Vec::new();
    for group in ["g", "other", "g", "g"] {
        let form = [("amount", "10"), ("currency", "eur"), ("destination", &account), ("transfer_group", group)];
        let id = bench.post("/v1/transfers", &form).await.id();
        if group == "g" {
            ids.insert(0, id);
        }
    }
    let page = async |query: &str| {
        let list = bench.get(&format!("/v1/transfers?transfer_group=g&{query}")).await.body;
        let data = list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        (data.collect::<Vec<_>>(), list["has_more"].as_bool().unwrap())
    };
    assert_eq!(page("").await, (ids.clone(), false));
    assert_eq!(page("limit=2").await, (ids[..2].to_vec(), true));
    assert_eq!(page(&format!("limit=2&starting_after={}", ids[1])).await, (ids[2..].to_vec(), false));
    assert_eq!(page(&format!("limit=1&ending_before={}", ids[2])).await, (ids[1..2].to_vec(), true));
    let expanded = bench.get("/v1/transfers?limit=1&expand[]=data.destination").await.body;
    assert_eq!(expanded["data"][0]["destination"]["id"], json!(account));
    assert_eq!(bench.get("/v1/transfers?limit=1&expand[]=data.amount").await.status, 400);
}

#[tokio::test]
async fn refunds_stay_within_the_charge() {
    let bench = Bench::start().await;
    let paid = bench.paid("10000").await;
    let refund = async |form: &[(&str, &str)]| bench.post("/v1/refunds", form).await;
    let intent = ("payment_intent", paid.payment_intent.as_str());
    assert_eq!(refund(&[("amount", "5")]).await.code(), "parameter_missing");
    assert_eq!(refund(&[("payment_intent", "pi_none")]).await.code(), "resource_missing");
    assert_eq!(refund(&[intent, ("amount", "0")]).await.code(), "parameter_invalid_integer");
    assert_eq!(refund(&[intent, ("amount", "10001")]).await.status, 400);
    let part = refund(&[intent, ("amount", "4000"), ("reason", "requested_by_customer")]).await;
    assert_eq!((&part.body["status"], &part.body["amount"]), (&json!("succeeded"), &json!(4000)));
    assert_eq!(refund(&[intent, ("amount", "6001")]).await.status, 400);
    bench.stripe.refund_from_dashboard(&paid.payment_intent, None).unwrap();
    assert_eq!(refund(&[intent]).await.code(), "charge_already_refunded");

    let list = bench.get(&format!("/v1/refunds?payment_intent={}", paid.payment_intent)).await.body;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(list["data"][0]["amount"], json!(6000));
    assert_eq!(bench.get(&format!("/v1/charges/{}", paid.charge)).await.body["refunded"], json!(true));
    assert_eq!(bench.stripe.events_of("charge.refunded").len(), 2);
    assert_eq!(bench.stripe.books().refunds_of(&paid.payment_intent).len(), 2);

    bench.stripe.set_refund_status(&part.id(), "failed").unwrap();
    assert_eq!(bench.stripe.events_of("refund.failed")[0].object_id(), Some(part.id()));
    assert_eq!(bench.stripe.books().charges[0].amount_refunded, 6000);
}

#[tokio::test]
async fn money_that_is_gone_cannot_be_refunded() {
    let bench = Bench::start().await;
    let (paid, account) = (bench.paid("10000").await, bench.account().await);
    let form =
        [("amount", "4000"), ("currency", "eur"), ("destination", &account), ("source_transaction", &paid.charge)];
    bench.post("/v1/transfers", &form).await;
    let refund = async |amount| {
        bench.post("/v1/refunds", &[("payment_intent", paid.payment_intent.as_str()), ("amount", amount)]).await
    };
    assert_eq!(refund("6001").await.code(), "balance_insufficient");
    let dispute = bench.stripe.dispute(&paid.charge).unwrap();
    assert_eq!(refund("6000").await.code(), "charge_disputed");
    assert_eq!(bench.stripe.balances(), (0, -4000));
    bench.stripe.close_dispute(&dispute, true).unwrap();
    assert_eq!(refund("6000").await.status, 200);
    assert_eq!(bench.stripe.events_of("charge.dispute.created")[0].object_id().as_deref(), Some(dispute.as_str()));
    assert_eq!(bench.stripe.events_of("charge.dispute.closed").len(), 1);
}

#[tokio::test]
async fn an_inquiry_takes_nothing_until_it_becomes_a_dispute() {
    let bench = Bench::start().await;
    let paid = bench.paid("10000").await;
    let refund = async |amount| {
        bench.post("/v1/refunds", &[("payment_intent", paid.payment_intent.as_str()), ("amount", amount)]).await
    };
    let inquiry = bench.stripe.inquire(&paid.charge, 9_000).unwrap();
    assert_eq!(bench.stripe.balances(), (0, 10_000));
    bench.stripe.close_dispute(&inquiry, false).unwrap_err();
    assert_eq!(refund("1000").await.status, 200);
    bench.stripe.set_dispute_status(&inquiry, "needs_response").unwrap();
    assert_eq!(bench.stripe.balances(), (0, 0));
    assert_eq!(refund("1000").await.code(), "charge_disputed");
    bench.stripe.close_dispute(&inquiry, false).unwrap();
    bench.stripe.set_dispute_status(&inquiry, "won").unwrap();
    assert_eq!(refund("1000").await.status, 200);
    for (kind, count) in
        [("created", 1), ("updated", 1), ("funds_withdrawn", 1), ("closed", 2), ("funds_reinstated", 1)]
    {
        assert_eq!(bench.stripe.events_of(&format!("charge.dispute.{kind}")).len(), count, "{kind}");
    }
}

#[tokio::test]
async fn a_freelance_finishes_onboarding_on_the_page() {
    let (endpoint, url) = Endpoint::start().await;
    let bench = Bench::with(StripeStandInSettings { webhook_targets: vec![url], ..settings() }).await;
    let form = [
        ("type", "express"),
        ("country", "FR"),
        ("email", "freelance@example.com"),
        ("capabilities[transfers][requested]", "true"),
        ("metadata[freelanceId]", "f-1"),
    ];
    let account = bench.post("/v1/accounts", &form).await;
    assert_eq!(account.body["capabilities"], json!({"transfers": "inactive"}));
    let id = account.id();
    let return_url = format!("http://front.test/profile/freelance?stripe_return=success&account_id={id}");
    let link_form = [
        ("account", id.as_str()),
        ("type", "account_onboarding"),
        ("return_url", &return_url),
        ("refresh_url", "http://front.test/again"),
    ];
    let link = bench.post("/v1/account_links", &link_form).await.body["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("{}/connect/{id}/", bench.stripe.url())));
    let (status, html) = bench.page(&link).await;
    assert!(status == 200 && html.contains(">Terminer</button>"), "{html}");
    assert_eq!(bench.submit(&link).await, (303, return_url.clone()));

    let account = bench.get(&format!("/v1/accounts/{id}")).await.body;
    for field in ["details_submitted", "payouts_enabled"] {
        assert_eq!(account[field], json!(true), "{field}");
    }
    assert_eq!(account["capabilities"]["transfers"], "active");
    bench.stripe.wait_until_delivered().await;
    let event = &endpoint.events()[0];
    assert_eq!((&event["type"], &event["account"]), (&json!("account.updated"), &json!(id)));
    // A used link, and one that is too old, lead to the refresh address.
    let response = bench.client.get(&link).send().await.unwrap();
    assert_eq!(response.headers()["location"], "http://front.test/again");
    let link = bench.post("/v1/account_links", &link_form).await.body["url"].as_str().unwrap().to_owned();
    bench.stripe.advance_clock(Duration::from_secs(301));
    assert_eq!(bench.page(&link).await.0, 303);
    assert_eq!(bench.post("/v1/account_links", &link_form[1..]).await.code(), "parameter_missing");
    assert_eq!(bench.page(&format!("{}/connect/{id}/none", bench.stripe.url())).await.0, 404);
}

#[tokio::test]
async fn webhooks_are_retried_with_the_same_body() {
    let (endpoint, url) = Endpoint::start().await;
    let bench = Bench::start().await;
    bench.stripe.set_webhook_targets(vec![url]);
    endpoint.answer_first(&[500, 302, 404]);
    bench.paid("5000").await;
    bench.stripe.wait_until_delivered().await;
    let received = endpoint.received();
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|(_, body)| *body == received[0].1));
    let delivery = &bench.stripe.events()[0].deliveries[0];
    assert_eq!((delivery.state, delivery.attempts, delivery.last_status), (DeliveryState::Delivered, 4, Some(200)));
    assert_eq!(bench.stripe.pending_deliveries(), 0);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up() {
    let bench = Bench::start().await;
    let closed = listener().await.local_addr().unwrap();
    bench.stripe.set_webhook_targets(vec![format!("http://{closed}/stripe/webhook")]);
    bench.paid("5000").await;
    bench.stripe.wait_until_delivered().await;
    let delivery = &bench.stripe.events()[0].deliveries[0];
    assert_eq!((delivery.state, delivery.attempts, delivery.last_status), (DeliveryState::GaveUp, 10, None));
}

/// Fault case 94, on Stripe's side: the webhook never comes, until it is sent again.
#[tokio::test]
async fn webhooks_can_be_lost_repeated_and_invented() {
    let (endpoint, url) = Endpoint::start().await;
    let bench = Bench::with(StripeStandInSettings { webhook_targets: vec![url], ..settings() }).await;
    bench.stripe.webhooks_enabled(false);
    bench.paid("5000").await;
    bench.stripe.wait_until_delivered().await;
    assert!(endpoint.received().is_empty());
    let event = bench.stripe.events()[0].clone();
    assert_eq!(event.deliveries[0].state, DeliveryState::NotSent);

    assert!(bench.stripe.resend(&event.id) && bench.stripe.resend(&event.id) && !bench.stripe.resend("evt_none"));
    bench.stripe.wait_until_delivered().await;
    assert_eq!(endpoint.received().len(), 2);
    assert!(endpoint.received().iter().all(|(_, body)| *body == event.body));

    bench.stripe.webhooks_enabled(true);
    let custom = CustomEvent::new("some.thing", json!({"id": "x_1"}));
    let custom = CustomEvent { livemode: Some(true), api_version: Some("2019-01-01".to_owned()), ..custom };
    let id = bench.stripe.send_custom_event(custom);
    bench.stripe.wait_until_delivered().await;
    let last = endpoint.events().pop().unwrap();
    assert_eq!(
        (&last["id"], &last["livemode"], &last["api_version"]),
        (&json!(id), &json!(true), &json!("2019-01-01"))
    );
}

#[tokio::test]
async fn sessions_expire() {
    let bench = Bench::start().await;
    let (by_call, by_time) = (bench.session("5000").await, bench.session("5000").await);
    let expire = format!("/v1/checkout/sessions/{}/expire", by_call.id());
    assert_eq!(bench.post(&expire, &[]).await.body["status"], "expired");
    assert_eq!(bench.post(&expire, &[]).await.status, 400);
    bench.stripe.decline(&by_time.id()).unwrap();
    assert_eq!(bench.stripe.events_of("payment_intent.payment_failed").len(), 1);
    bench.stripe.advance_clock(DAY);
    assert_eq!(bench.stripe.events_of("checkout.session.expired").len(), 2);
    let url = by_time.body["url"].as_str().unwrap();
    let (status, html) = bench.page(url).await;
    assert!(status == 410 && html.contains("expiré") && !html.contains("Payer"), "{html}");
    assert_eq!(bench.submit(url).await.0, 410);
    assert!(bench.stripe.pay(&by_time.id()).is_err());
    assert!(bench.stripe.books().charges.is_empty());

    let paid = bench.paid("5000").await;
    let refused = bench.post(&format!("/v1/checkout/sessions/{}/expire", paid.session), &[]).await;
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("`complete`"));
    let list = bench.get("/v1/checkout/sessions?status=expired").await.body;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_declined_card_pays_later_with_the_same_intent() {
    let bench = Bench::start().await;
    let session = bench.session("5000").await.id();
    let intent = bench.stripe.decline(&session).unwrap();
    assert_eq!(bench.get(&format!("/v1/payment_intents/{intent}")).await.body["status"], "requires_payment_method");
    assert_eq!(
        bench.post("/v1/refunds", &[("payment_intent", &intent)]).await.code(),
        "payment_intent_unexpected_state"
    );
    assert_eq!(bench.stripe.pay(&session).unwrap().payment_intent, intent);
    assert_eq!(bench.get(&format!("/v1/payment_intents/{intent}")).await.body["status"], "succeeded");
}

#[tokio::test]
async fn tax_is_added_or_contained() {
    let bench = Bench::start().await;
    bench.stripe.set_tax_basis_points(2000);
    let exclusive = bench.session("10001").await.body;
    assert_eq!((&exclusive["amount_subtotal"], &exclusive["amount_total"]), (&json!(10_001), &json!(12_001)));
    let mut form = session_form("12000");
    form.retain(|(name, _)| !name.contains("tax_behavior"));
    let inclusive = bench.post("/v1/checkout/sessions", &form).await.body;
    assert_eq!((&inclusive["amount_total"], &inclusive["total_details"]["amount_tax"]), (&json!(12_000), &json!(2000)));
    form.retain(|(name, _)| !name.contains("automatic_tax"));
    let untaxed = bench.post("/v1/checkout/sessions", &form).await.body;
    assert_eq!(untaxed["total_details"]["amount_tax"], json!(0));
}

#[tokio::test]
async fn a_second_start_keeps_the_objects() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stripe").join("objects.json");
    let persistent = || StripeStandInSettings { persist: Some(file.clone()), ..settings() };
    let (endpoint, url) = Endpoint::start().await;
    let bench = Bench::with(persistent()).await;
    let form = session_form("5000");
    let session = bench.keyed("/v1/checkout/sessions", "k", &form).await.id();
    let account = bench.account().await;
    bench.stripe.stop().await;

    let bench = Bench::with(StripeStandInSettings { webhook_targets: vec![url], ..persistent() }).await;
    let again = bench.keyed("/v1/checkout/sessions", "k", &form).await;
    assert!(again.replayed() && again.id() == session);
    assert_eq!(bench.get(&format!("/v1/accounts/{account}")).await.body["details_submitted"], json!(true));
    let paid = bench.stripe.pay(&session).unwrap();
    bench.stripe.wait_until_delivered().await;
    assert_eq!(endpoint.received().len(), 1);
    bench.stripe.stop().await;

    let bench = Bench::with(persistent()).await;
    assert_eq!(bench.stripe.books().charges[0].id, paid.charge);
    bench.stripe.stop().await;
    std::fs::write(&file, "{").unwrap();
    let error = StripeStandIn::start(listener().await, persistent()).map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_webhook_under_way_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let persist = Some(folder.path().join("objects.json"));
    let (endpoint, url) = Endpoint::start().await;
    let patient = RetryPolicy { first_delay: Duration::from_secs(600), ..settings().retry };
    let first =
        StripeStandInSettings { persist: persist.clone(), webhook_targets: vec![url], retry: patient, ..settings() };
    let bench = Bench::with(first).await;
    endpoint.answer_first(&[503]);
    bench.paid("5000").await;
    // The attempt is recorded once the endpoint has refused it.
    while bench.stripe.events()[0].deliveries[0].attempts == 0 {
        tokio::task::yield_now().await;
    }
    bench.stripe.stop().await;
    let bench = Bench::with(StripeStandInSettings { persist, ..settings() }).await;
    bench.stripe.wait_until_delivered().await;
    assert_eq!(endpoint.received().len(), 2);
    assert_eq!(bench.stripe.events()[0].deliveries[0].state, DeliveryState::Delivered);
}
