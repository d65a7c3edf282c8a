//! Amazon SES: hands one rendered message over, and tells what it refuses for good from what may work later.

use std::sync::OnceLock;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::ProvideErrorMetadata;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use kernel::Email;
use shell::Fault;

use crate::domain::{Attempt, FailureReason};
use crate::templates::Rendered;

/// From where and as whom we send.
#[derive(Debug)]
pub struct Mail {
    client: OnceLock<Client>,
    sender_address: String,
    configuration_set: String,
}

impl Mail {
    /// The client itself is built when the first message goes out.
    pub fn from_environment() -> Self {
        Self {
            client: OnceLock::new(),
            sender_address: shell::required_environment("SENDER_ADDRESS"),
            configuration_set: shell::required_environment("SES_CONFIGURATION_SET"),
        }
    }

    pub fn new(client: Client, sender_address: &str, configuration_set: &str) -> Self {
        Self {
            client: OnceLock::from(client),
            sender_address: sender_address.to_owned(),
            configuration_set: configuration_set.to_owned(),
        }
    }

    /// Sends one message. SES knows no idempotency key: asked twice, it sends twice.
    pub async fn send(&self, to: &Email, mail: &Rendered) -> Result<Attempt, Fault> {
        let client = self.client.get_or_init(|| Client::new(shell::aws::sdk_config()));
        let body = Body::builder().text(utf8(&mail.text)).html(utf8(&mail.html)).build();
        let message = Message::builder().subject(utf8(&mail.subject)).body(body).build();
        let sent = client
            .send_email()
            .from_email_address(&self.sender_address)
            .configuration_set_name(&self.configuration_set)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        let error = match sent {
            Ok(reply) => {
                let provider_message_id = reply.message_id.unwrap_or_default();
                return Ok(Attempt::Accepted { provider_message_id });
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(SendEmailError::MessageRejected(_)) => {
                Ok(Attempt::Refused(FailureReason::MessageRejected))
            }
            Some(SendEmailError::BadRequestException(_)) => {
                Ok(Attempt::Refused(FailureReason::AddressRefused))
            }
            // The message of such an error may name the address, which does not belong in a log.
            Some(other) => {
                let code = other.code().unwrap_or("an error without a code").to_owned();
                Err(Fault::outside("SES did not take a message", code))
            }
            None => Err(Fault::outside("SES did not take a message", error)),
        }
    }
}

fn utf8(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().expect("the data is set")
}
