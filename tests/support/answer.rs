use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::logs;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; `Null` when it is empty or no JSON.
    pub body: Value,
    /// What was asked, for messages of failed assertions.
    request: String,
}

impl Answer {
    pub(crate) async fn read(request: String, response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the answer's body arrives");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        for cookie in headers.get_all("set-cookie") {
            let pair = cookie.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            logs::watch(&String::from_utf8_lossy(pair));
        }
        if status >= 400 {
            logs::check_refusal(&request, status, &text);
        }
        Self { status, headers, text, body, request }
    }

    /// Fails unless the status is this one; returns the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered {}: {}", self.request, self.status, self.text);
        self.body
    }

    /// The `message` of a refusal: its sentence, or its texts joined by newlines.
    pub fn message(&self) -> String {
        match &self.body["message"] {
            Value::String(sentence) => sentence.clone(),
            Value::Array(rules) => rules.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
            _ => String::new(),
        }
    }

    /// The raw `Set-Cookie` headers.
    pub fn set_cookies(&self) -> Vec<String> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }
}
