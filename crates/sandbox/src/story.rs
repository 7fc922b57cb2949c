//! The demo story, told through the front door: the demo company publishes and pays a mission, the demo freelance
//! opens a payout account, applies, is accepted, and submits the first checkpoint. All of it is real for the servers.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use freehunt_domain::seed::{DEMO_COMPANY, DEMO_FREELANCE};
use serde_json::{Value, json};

use crate::{arguments::Arguments, platform::DEMO_PASSWORD, stripe::StripeStandIn};

/// How long a server may take to answer for the first time, or a webhook to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn tell(api: &str, arguments: &Arguments, stripe: &StripeStandIn) -> anyhow::Result<()> {
    let company = Visitor::log_in(api, arguments, DEMO_COMPANY).await?;
    let freelance = Visitor::log_in(api, arguments, DEMO_FREELANCE).await?;
    let posting = publish(&company, arguments).await?;
    let paid = company.post(&format!("/job-postings/{posting}/create-payment"), payment(arguments, &posting)).await?;
    stripe.pay(text(&paid, "sessionId")?).map_err(|error| anyhow::anyhow!("the demo payment failed: {error:?}"))?;
    let deadline = Instant::now() + PATIENCE;
    while freelance.get(&format!("/job-postings/{posting}")).await.is_err() {
        ensure!(Instant::now() < deadline, "the demo payment was not confirmed in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let profile = freelance.get("/auth/getme").await?["freelance"].clone();
    let freelance_id = text(&profile, "id")?;
    let connect = json!({ "freelanceId": freelance_id, "email": DEMO_FREELANCE, "name": "Camille Moreau" });
    let connected = freelance.post("/stripe/create-account-connection", connect).await?;
    let account = text(&connected, "stripeAccountId")?;
    stripe.finish_onboarding(account).map_err(|error| anyhow::anyhow!("the demo account failed: {error:?}"))?;
    let confirm = json!({ "freelanceId": freelance_id, "accountId": account });
    freelance.post("/stripe/confirm-account-activation", confirm).await?;
    let apply = json!({ "freelanceId": freelance_id, "jobPostingId": posting, "status": "PENDING" });
    let candidate = freelance.post("/candidates/", apply).await?;
    let decision = format!("/candidates/{}/company", text(&candidate, "id")?);
    company.put(&decision, json!({ "status": "ACCEPTED" })).await?;
    let checkpoints = freelance.get(&format!("/checkpoints/job-posting/{posting}")).await?;
    freelance.put(&format!("/checkpoints/{}", text(&checkpoints[0], "id")?), json!({ "status": "DONE" })).await?;
    Ok(())
}

async fn publish(company: &Visitor, arguments: &Arguments) -> anyhow::Result<String> {
    let me = company.get("/auth/getme").await?;
    let skills = company.get("/skills").await?;
    let skill_ids: Vec<&Value> = skills.as_array().into_iter().flatten().take(4).map(|skill| &skill["id"]).collect();
    let posting = json!({
        "title": "Application de fidélité pour une boulangerie",
        "description": "Une petite application web : les clients cumulent des points, la boulangère les suit.",
        "location": "REMOTE", "isPromoted": false, "averageDailyRate": 400, "seniority": 3,
        "companyId": text(&me["company"], "id")?, "skillIds": skill_ids, "totalAmount": 2400,
    });
    let created = company.post("/job-postings/", posting).await?;
    let id = text(&created, "id")?.to_owned();
    for (name, month, amount) in [("Prototype", "01", 800), ("Version complète", "02", 1600)] {
        let checkpoint = json!({
            "name": name, "description": format!("{name} livrée et relue"), "status": "TODO", "jobPostingId": id,
            "date": format!("2027-{month}-15T11:00:00.000Z"), "amount": amount,
        });
        company.post("/checkpoints", checkpoint).await?;
    }
    tracing::debug!(frontend = arguments.frontend_url, posting = id, "demo posting made");
    Ok(id)
}

fn payment(arguments: &Arguments, posting: &str) -> Value {
    let frontend = arguments.frontend_url.trim_end_matches('/');
    json!({
        "successUrl": format!("{frontend}/project/payment-success?session_id={{CHECKOUT_SESSION_ID}}&job_posting_id={posting}"),
        "cancelUrl": format!("{frontend}/dashboard/job-postings?payment=cancelled"),
        "customerEmail": DEMO_COMPANY,
    })
}

fn text<'a>(value: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    value[field].as_str().with_context(|| format!("an answer lacks {field}"))
}

/// A logged-in demo account.
struct Visitor {
    api: String,
    origin: String,
    cookie: String,
    client: reqwest::Client,
}

impl Visitor {
    async fn log_in(api: &str, arguments: &Arguments, email: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
        let origin = arguments.frontend_url.trim_end_matches('/').to_owned();
        let mut visitor = Self { api: api.to_owned(), origin, cookie: String::new(), client };
        let body = json!({ "email": email, "password": DEMO_PASSWORD });
        let response = visitor.send(reqwest::Method::POST, "/auth/login", Some(body)).await?;
        let cookies = response.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        visitor.cookie = cookies.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ");
        let answer: Value = response.json().await?;
        ensure!(answer["success"] == true, "the demo account {email} could not log in");
        Ok(visitor)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.read(reqwest::Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.read(reqwest::Method::POST, path, Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.read(reqwest::Method::PUT, path, Some(body)).await
    }

    async fn read(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        Ok(self.send(method, path, body).await?.json().await?)
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<reqwest::Response> {
        let mut request =
            self.client.request(method.clone(), format!("{}{path}", self.api)).header("origin", &self.origin);
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        ensure!(
            status.is_success(),
            "{method} {path} answered {status}: {}",
            response.text().await.unwrap_or_default()
        );
        Ok(response)
    }
}
