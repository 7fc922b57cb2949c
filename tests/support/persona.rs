use freehunt_domain::ids::{CompanyId, FreelanceId, UserId};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::{Answer, settings};

/// Somebody who uses the API: with a session's cookie, or nobody.
#[derive(Clone, Debug)]
pub struct Persona {
    pub name: String,
    pub email: String,
    pub user_id: UserId,
    /// Set for a company.
    pub company_id: Option<CompanyId>,
    /// Set for a freelance.
    pub freelance_id: Option<FreelanceId>,
    /// The `Cookie` header, empty for nobody.
    pub cookie: String,
    /// The server this persona talks to.
    pub base_url: String,
    pub client: Client,
}

impl Persona {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.answer(request).await
    }

    /// A request with this persona's cookie and the frontend's origin, to be changed before it is sent.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        request.header("origin", settings::FRONTEND)
    }

    /// Sends what [`Persona::request`] prepared.
    pub async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        self.execute(request.build().expect("the request is well formed")).await
    }

    /// Sends a request whose headers were changed by hand.
    pub async fn execute(&self, request: reqwest::Request) -> Answer {
        let what = format!("{} {}", request.method(), request.url().path());
        let response = self.client.execute(request).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        Answer::read(what, response).await
    }

    /// The freelance profile's id; a panic for anybody else.
    pub fn freelance_id(&self) -> FreelanceId {
        self.freelance_id.expect("this persona is a freelance")
    }

    /// The company's id; a panic for anybody else.
    pub fn company_id(&self) -> CompanyId {
        self.company_id.expect("this persona is a company")
    }
}
