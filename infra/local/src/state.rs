//! `.local/state.json`: what runs, on which port, and what was deployed there.
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::checkout::Checkout;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::processes::Recorded;

#[derive(Default, Debug, PartialEq)]
pub struct State {
    /// The address of the cloud: one of ours, or the one given by `--endpoint`.
    pub endpoint: Option<String>,
    /// Ports are remembered after the process is gone, so that addresses stay the same.
    pub cloud_port: Option<u16>,
    pub provider_port: Option<u16>,
    pub cloud: Option<Recorded>,
    /// What the cloud was started with; it is started anew when this changes.
    pub cloud_fingerprint: Option<String>,
    pub provider: Option<Recorded>,
    /// What the payment provider was started with; it is started anew when this changes.
    pub provider_fingerprint: Option<String>,
    pub deployment: Option<Deployed>,
    /// How many messages the last complete build gave, for the next one's progress bar.
    pub build_units: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    pub fingerprint: String,
    pub outputs: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub at: u64,
}

impl State {
    pub fn load(checkout: &Checkout) -> Self {
        let text = fs::read_to_string(checkout.local("state.json")).unwrap_or_default();
        Self::from_json(&serde_json::from_str(&text).unwrap_or_default())
    }

    pub fn save(&self, checkout: &Checkout) -> Result<(), Failure> {
        let file = checkout.local("state.json");
        fs::create_dir_all(checkout.local(""))
            .and_then(|()| fs::write(&file, format!("{:#}\n", self.to_json())))
            .explain(|| format!("{} cannot be written", file.display()), CHECK_FILES)
    }

    /// The address of the cloud, if `--endpoint` gave it.
    pub fn given_endpoint(&self) -> Option<&str> {
        let own = self.cloud_port.map(|port| format!("http://127.0.0.1:{port}"));
        self.endpoint.as_deref().filter(|endpoint| Some(*endpoint) != own.as_deref())
    }

    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        put("endpoint", self.endpoint.as_deref().map(Value::from));
        put("cloud_port", self.cloud_port.map(Value::from));
        put("provider_port", self.provider_port.map(Value::from));
        put("cloud", self.cloud.as_ref().map(recorded_to_json));
        put("provider", self.provider.as_ref().map(recorded_to_json));
        put("cloud_fingerprint", self.cloud_fingerprint.as_deref().map(Value::from));
        put("provider_fingerprint", self.provider_fingerprint.as_deref().map(Value::from));
        put("deployment", self.deployment.as_ref().map(deployed_to_json));
        put("build_units", self.build_units.map(Value::from));
        Value::Object(fields)
    }

    fn from_json(json: &Value) -> Self {
        Self {
            endpoint: text(json, "endpoint"),
            cloud_port: port(json, "cloud_port"),
            provider_port: port(json, "provider_port"),
            cloud: recorded_from_json(&json["cloud"]),
            provider: recorded_from_json(&json["provider"]),
            cloud_fingerprint: text(json, "cloud_fingerprint"),
            provider_fingerprint: text(json, "provider_fingerprint"),
            deployment: deployed_from_json(&json["deployment"]),
            build_units: json["build_units"].as_u64(),
        }
    }
}

/// Held while a command changes what runs: two of them at once would start everything twice.
pub struct Turn {
    _file: File,
}

impl Turn {
    pub fn take(checkout: &Checkout) -> Result<Self, Failure> {
        let path = checkout.local("lock");
        let file = fs::create_dir_all(checkout.local(""))
            .and_then(|()| File::create(&path))
            .explain(|| format!("{} cannot be written", path.display()), CHECK_FILES)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                "another `cargo matricula` is at work on this checkout",
                "Wait until it is done, then run the command again.",
            )),
            Err(TryLockError::Error(error)) => {
                Err(error).explain(|| format!("{} cannot be locked", path.display()), CHECK_FILES)
            }
        }
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a command of the developer has no invocation to take the time from"
)]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn recorded_to_json(process: &Recorded) -> Value {
    json!({ "pid": process.pid, "birth": process.birth, "started_at": process.started_at })
}

fn recorded_from_json(json: &Value) -> Option<Recorded> {
    Some(Recorded {
        pid: json["pid"].as_u64()?.try_into().ok()?,
        birth: text(json, "birth")?,
        started_at: json["started_at"].as_u64()?,
    })
}

fn deployed_to_json(deployed: &Deployed) -> Value {
    json!({ "fingerprint": deployed.fingerprint, "outputs": deployed.outputs, "at": deployed.at })
}

fn deployed_from_json(json: &Value) -> Option<Deployed> {
    let outputs = json["outputs"].as_object()?;
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Some(Deployed {
        fingerprint: text(json, "fingerprint")?,
        outputs: outputs.iter().filter_map(pair).collect(),
        at: json["at"].as_u64()?,
    })
}

fn text(json: &Value, name: &str) -> Option<String> {
    json[name].as_str().map(str::to_owned)
}

fn port(json: &Value, name: &str) -> Option<u16> {
    json[name].as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_what_is_read_again() {
        let state = State {
            endpoint: Some("http://127.0.0.1:4566".into()),
            cloud_port: Some(4566),
            provider_port: Some(4567),
            cloud: Some(Recorded { pid: 7, birth: "81200".into(), started_at: 1_800_000_000 }),
            provider: None,
            cloud_fingerprint: Some("00fe".into()),
            provider_fingerprint: Some("00ff".into()),
            deployment: Some(Deployed {
                fingerprint: "abc".into(),
                outputs: [("ApiId".to_owned(), "a1".to_owned())].into(),
                at: 1_800_000_100,
            }),
            build_units: Some(321),
        };
        assert_eq!(State::from_json(&state.to_json()), state);
    }

    #[test]
    fn a_cloud_on_the_port_of_ours_was_not_given() {
        let endpoint = Some("http://127.0.0.1:4566".to_owned());
        let mut state = State { endpoint, cloud_port: Some(4566), ..State::default() };
        assert_eq!(state.given_endpoint(), None);
        state.cloud_port = Some(4567);
        assert_eq!(state.given_endpoint(), Some("http://127.0.0.1:4566"));
    }

    #[test]
    fn a_damaged_file_is_an_empty_state() {
        assert_eq!(State::from_json(&json!({ "cloud": { "pid": "seven" } })), State::default());
        assert_eq!(State::from_json(&Value::Null), State::default());
    }
}
