//! Sessions: what ends is ended everywhere within a minute, and the keys that sign are there for anybody to read.

use std::time::Duration;

use serde_json::json;

use crate::api::Api;
use crate::mail;
use crate::patience::{LIMIT, eventually};
use crate::people::{PASSWORD, log_in, newcomer};

/// The gateway and the authorizer each remember for a while, together for less than this.
const ENDED_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn who_logs_out_everywhere_is_out_within_a_minute_and_can_log_in_again() {
    let here = newcomer("Odile");
    let elsewhere = log_in(&here.email);
    elsewhere.api.get("/me").expect(200);
    here.api.call("DELETE", "/me/sessions").send().expect(204);
    eventually("the other session ends", ENDED_WITHIN, || {
        let reply = elsewhere.api.get("/me");
        let code = reply.body["code"].as_str().unwrap_or_default();
        if code == "SESSION_ENDED" { Ok(()) } else { Err(format!("{reply:?}")) }
    });
    log_in(&here.email).api.get("/me").expect(200);
}

#[test]
fn a_refresh_token_is_good_once_and_its_reply_can_be_asked_for_again() {
    let person = newcomer("Renata");
    let credentials = json!({ "login": person.email, "password": PASSWORD });
    let tokens = Api::anonymous().call("POST", "/sessions").json(&credentials).send().expect(200);
    let refresh = || {
        let token = json!({ "refresh_token": tokens.text("/refresh_token") });
        Api::anonymous().call("POST", "/sessions/refresh").json(&token).send().expect(200)
    };
    let (first, again) = (refresh(), refresh());
    assert_eq!(first.text("/refresh_token"), again.text("/refresh_token"));
    Api::with_token(&again.text("/access_token")).get("/me").expect(200);
}

#[test]
fn the_keys_that_sign_tokens_are_published() {
    let keys = Api::anonymous().get("/.well-known/jwks.json").expect(200);
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    assert_eq!(keys.text("/keys/0/alg"), "EdDSA");
    let configuration = Api::anonymous().get("/.well-known/openid-configuration").expect(200);
    let issuer = configuration.text("/issuer");
    assert_eq!(configuration.text("/jwks_uri"), format!("{issuer}/.well-known/jwks.json"));
}

#[test]
fn a_forgotten_password_is_replaced_by_the_link_in_the_mail() {
    let person = newcomer("Fidel");
    let ask = json!({ "login": person.email });
    Api::anonymous().call("POST", "/password-resets").json(&ask).send().expect(204);
    let (account, token) = eventually(&format!("a link for {}", person.email), LIMIT, || {
        let mails = mail::to(&person.email);
        mails.iter().find_map(|mail| link(&mail.text)).ok_or_else(|| format!("{mails:?}"))
    });
    let replace = |password: &str| {
        let body = json!({ "token": token, "password": password });
        let path = format!("/accounts/{account}/password");
        Api::anonymous().post(&path, &body)
    };
    replace("neuf tables bleues").expect(204);
    replace("une autre encore").expect_refusal(410, "RESET_LINK_INVALID");
    let credentials = json!({ "login": person.email, "password": "neuf tables bleues" });
    Api::anonymous().call("POST", "/sessions").json(&credentials).send().expect(200);
}

/// Account and token in the link of a mail.
fn link(text: &str) -> Option<(String, String)> {
    let (account, rest) = text.split_once("#account=")?.1.split_once("&token=")?;
    Some((account.to_owned(), rest.get(..64)?.to_owned()))
}
