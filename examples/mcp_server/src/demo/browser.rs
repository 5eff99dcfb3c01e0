//! Simulates a user with a browser, who logs in on the login page and approves on the consent page.

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::server::Result;

pub struct Browser {
    http: Client,
    login: [(&'static str, &'static str); 2],
}

impl Browser {
    pub fn new(username: &'static str, password: &'static str) -> Result<Self> {
        let http = Client::builder().cookie_store(true).redirect(Policy::none()).build()?;
        Ok(Self { http, login: [("username", username), ("password", password)] })
    }

    /// Opens an authorization request, approves it, and returns the URL of the redirect to the client.
    pub async fn approve(&self, url: &str) -> Result<String> {
        let mut page = self.http.get(url).send().await?.text().await?;
        if page.contains("name=\"password\"") {
            page = self.submit(url, &page, &self.login).await?.text().await?;
        }
        let response = self.submit(url, &page, &[("consent", "approve")]).await?;
        let location = response.headers().get(LOCATION).ok_or("the response has no location")?;
        Ok(location.to_str()?.to_owned())
    }

    async fn submit(&self, url: &str, page: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").ok_or("there is no form")?;
        let csrf = rest.split('"').next().unwrap_or_default();
        let mut form = vec![("csrf", csrf)];
        form.extend_from_slice(fields);
        Ok(self.http.post(url).form(&form).send().await?)
    }
}
