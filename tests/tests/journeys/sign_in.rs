//! Sign-in with another provider: a real one on this machine, whose pages a browser walks without pictures.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ureq::http::Request;

use crate::api::{Api, Reply, agent, unique};
use crate::cloud;
use crate::people::{address, newcomer, staff};

/// What the provider has registered for us.
const SECRET: &str = "the-secret-of-matricula-at-the-provider";
const REDIRECTS_MAX: u32 = 10;

/// The provider under a name of its own, so that journeys do not change each other's agreements.
fn agreed(unknown_person: &str) -> String {
    let name =
        format!("u{}", unique("").replace('-', "").chars().rev().take(15).collect::<String>());
    cloud::create_secret(&format!("matricula/dev/sign-in/{name}"), SECRET);
    let settings = json!({
        "title": "University",
        "issuer": cloud::setting("MATRICULA_SIGN_IN_PROVIDER_URL"),
        "client_id": "matricula",
        "client_secret": name,
        "external_id": { "claim": "sub", "system": format!("idp:{name}"), "kind": "id" },
        "email_domains": ["students.example"],
        "unknown_person": unknown_person,
        "is_active": true,
    });
    let path = format!("/sign-in-providers/{name}");
    let put = staff().administrator.api.call("PUT", &path).json(&json!({ "settings": settings }));
    put.header("if-match", "\"0\"").send().expect(200);
    name
}

/// A browser: it keeps cookies, and goes where it is sent.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One request, and where it leads.
    fn ask(&mut self, url: &str, form: Option<&str>) -> Option<String> {
        let method = if form.is_some() { "POST" } else { "GET" };
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(url);
        request = request.header("cookie", cookies.join("; "));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(form.unwrap_or_default().to_owned()).expect("it can be written");
        // Nothing is followed by itself: the way back leads to a portal that is not there.
        let config = agent().configure_request(request).max_redirects(0);
        let config = config.max_redirects_will_error(false).build();
        let reply = agent().run(config).expect("the provider answers");
        for cookie in reply.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("ASCII").split(';').next().unwrap_or_default();
            let (name, value) = cookie.split_once('=').expect("a name and a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = reply.headers().get("location")?.to_str().expect("ASCII");
        let origin = cloud::setting("MATRICULA_SIGN_IN_PROVIDER_URL");
        let is_whole = location.starts_with("http");
        Some(if is_whole { location.to_owned() } else { format!("{origin}{location}") })
    }

    /// Logs in at the provider and consents; what the browser comes back to the portal with.
    fn sign_in(&mut self, url: &str, login: &str) -> BTreeMap<String, String> {
        let mut at = url.to_owned();
        let login = login.replace('@', "%40").replace('!', "%21");
        let mut forms =
            vec!["prompt=consent".to_owned(), format!("prompt=login&login={login}&password=x")];
        for _ in 0..REDIRECTS_MAX {
            if at.starts_with("http://localhost:5173/sign-in?") {
                let query = at.split_once('?').expect("a query").1;
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
                return pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
            }
            let next = self.ask(&at, None).or_else(|| {
                let form = forms.pop().expect("it asks for a log-in and for consent");
                self.ask(&at, Some(&form))
            });
            at = next.expect("it leads on");
        }
        panic!("the provider leads round and round: {at}");
    }
}

struct SignIn {
    begun: Reply,
    back: BTreeMap<String, String>,
}

impl SignIn {
    fn walked(provider: &str, login: &str) -> Self {
        let begin = json!({ "provider": provider });
        let begun = Api::anonymous().call("POST", "/sign-ins").json(&begin).send().expect(200);
        let back = Browser::default().sign_in(&begun.text("/authorization_url"), login);
        Self { begun, back }
    }

    fn completed_with(&self, change: impl FnOnce(&mut Value)) -> Reply {
        let mut body = json!({ "handle": self.begun.text("/handle") });
        for name in ["code", "state", "iss"] {
            body[name] = self.back.get(name).cloned().into();
        }
        change(&mut body);
        let path = format!("/sign-ins/{}/completion", self.begun.text("/sign_in"));
        Api::anonymous().call("POST", &path).json(&body).once().send()
    }

    fn completed(&self) -> Reply {
        self.completed_with(|_| ())
    }
}

#[test]
fn a_person_signs_in_with_the_university_and_is_the_one_with_the_verified_address() {
    let (provider, person) = (agreed("refuse"), newcomer("Sigrid"));
    let listed = Api::anonymous().list("/sign-in-providers");
    assert!(listed.iter().any(|listed| listed["provider"] == provider.as_str()));
    let sign_in = SignIn::walked(&provider, &person.email);
    let tokens = sign_in.completed().expect(200);
    assert_eq!(tokens.text("/person"), person.id);
    Api::with_token(&tokens.text("/access_token")).get("/me").expect(200);
    sign_in.completed().expect_refusal(410, "SIGN_IN_INVALID");
    let again = SignIn::walked(&provider, &person.email).completed().expect(200);
    assert_eq!(again.text("/person"), person.id, "by the external id");
}

#[test]
fn whoever_the_provider_does_not_vouch_for_does_not_sign_in() {
    let (provider, person) = (agreed("refuse"), newcomer("Sonja"));
    let unverified = SignIn::walked(&provider, &format!("{}!unverified", person.email));
    unverified.completed().expect_refusal(403, "SIGN_IN_PERSON_UNKNOWN");
    let stranger = SignIn::walked(&provider, &address("stranger"));
    stranger.completed().expect_refusal(403, "SIGN_IN_PERSON_UNKNOWN");
    let (one, other) =
        (SignIn::walked(&provider, &person.email), SignIn::walked(&provider, &person.email));
    // Somebody else's code in this browser: the provider gives nothing for it without the verifier that belongs to it.
    let slipped = one.completed_with(|body| body["code"] = other.back["code"].clone().into());
    slipped.expect_refusal(401, "SIGN_IN_REFUSED");
    let foreign = other.completed_with(|body| body["handle"] = one.begun.text("/handle").into());
    foreign.expect_refusal(410, "SIGN_IN_INVALID");
    let welcoming = agreed("register");
    let newcomer = SignIn::walked(&welcoming, &address("welcome")).completed().expect(200);
    let profile = Api::with_token(&newcomer.text("/access_token")).get("/me").expect(200);
    assert_eq!(profile.body["roles"][0]["role"], "student");
}
