//! People's mail boxes: what the local cloud has kept instead of sending it.

use serde_json::Value;

use crate::cloud;
use crate::patience::{LIMIT, eventually};

#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl Mail {
    /// The eight digits of a verification mail.
    pub fn code(&self) -> Option<&str> {
        const DIGITS: usize = 8;
        let words = self.text.split(|c: char| !c.is_ascii_digit());
        words.into_iter().find(|word| word.len() == DIGITS)
    }
}

/// Everybody's mail, the oldest first.
pub fn all() -> Vec<Mail> {
    let kept = cloud::sent_mail();
    let accounts = kept["messages"].as_object().into_iter().flatten();
    let messages = accounts.filter_map(|(_, messages)| messages.as_array()).flatten();
    messages
        .flat_map(|message| {
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            let receivers =
                message["To"].as_array().into_iter().flatten().filter_map(Value::as_str);
            receivers
                .map(|to| Mail {
                    to: to.to_owned(),
                    subject: text("Subject"),
                    text: text("BodyText"),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

pub fn to(address: &str) -> Vec<Mail> {
    all().into_iter().filter(|mail| mail.to == address).collect()
}

/// Waits for `count` messages to somebody whose subject holds these words, and for no more than those.
pub fn await_mail(address: &str, subject: &str, count: usize) -> Vec<Mail> {
    eventually(&format!("{count} mail(s) {subject:?} to {address}"), LIMIT, || {
        let mut fitting = to(address);
        fitting.retain(|mail| mail.subject.contains(subject));
        assert!(fitting.len() <= count, "{address} was told too often: {fitting:#?}");
        if fitting.len() == count { Ok(fitting) } else { Err(format!("{fitting:?}")) }
    })
}
