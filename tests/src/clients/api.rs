//! A client of the API.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::{LIMIT, Service, until};

/// A client of one API process.
#[derive(Clone)]
pub struct Api {
    base: String,
    client: Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {}", self.text))
    }

    /// The value of a header, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body, if the status is as expected. Panics otherwise.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    /// The problem details, if the answer is a problem of this kind. Panics otherwise.
    pub fn problem(self, status: u16, name: &str) -> Value {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text
        );
        let problem = self.expect(status);
        assert_eq!(
            problem["type"],
            format!("urn:ltm-live:problem:{name}"),
            "{problem}"
        );
        assert!(problem["request_id"].is_string(), "{problem}");
        problem
    }
}

impl Api {
    /// A client of this process.
    pub fn at(service: &Service) -> Self {
        Self::at_url(&service.http())
    }

    /// A client of the service at this base URL.
    pub fn at_url(base: &str) -> Self {
        Self::impatient(base, LIMIT)
    }

    /// A client that waits for each answer only this long.
    pub fn impatient(base: &str, limit: Duration) -> Self {
        let client = Client::builder().timeout(limit).build().expect("a client");
        Self {
            base: base.into(),
            client,
        }
    }

    /// A request to `/api/v0` and `path`, to add to and [`Api::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/api/v0{path}", self.base))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Answer {
            status,
            headers,
            text,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `POST` with JSON text and these headers.
    pub async fn post_text(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self
            .request(Method::POST, path)
            .header("content-type", "application/json")
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// `GET` of a path at the root: `/readyz`.
    pub async fn get_root(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.base)))
            .await
    }

    /// Waits until `/readyz` answers with this status.
    pub async fn until_ready_is(&self, status: u16) {
        let what = format!("/readyz answers {status}");
        until(&what, async || {
            let answer = self.get_root("/readyz").await;
            if answer.status == status {
                Ok(())
            } else {
                Err(answer.text)
            }
        })
        .await;
    }

    /// Creates an LTM with this state. Returns its id and cursor.
    pub async fn create(&self, state: Value) -> (u64, String) {
        let created = self
            .post("/ltm", &json!({"fqn": "tests.Ltm", "state": state}))
            .await
            .expect(200);
        (
            created["id"].as_u64().unwrap(),
            created["cursor"].as_str().unwrap().into(),
        )
    }

    /// Appends a snapshot, which the API must accept. Returns the answer.
    pub async fn append(&self, id: u64, body: Value) -> Value {
        let mut body = body;
        body.as_object_mut()
            .unwrap()
            .entry("reason")
            .or_insert_with(|| "execute".into());
        self.post(&format!("/ltm/{id}/snapshots"), &body)
            .await
            .expect(201)
    }

    /// The document.
    pub async fn document(&self, id: u64) -> Value {
        self.get(&format!("/ltm/{id}")).await.expect(200)
    }
}
