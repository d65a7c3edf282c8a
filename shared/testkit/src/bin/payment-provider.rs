//! The payment provider, played, as a process of its own: for the developer's command and the demo.

use testkit::{PaymentProvider, PaymentProviderSettings};

const USAGE: &str = "usage: payment-provider --port PORT [--webhook-url URL] [--webhook-secret SECRET] [--api-key KEY]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let provider = PaymentProvider::start(settings(std::env::args().skip(1))?).await;
    eprintln!("The payment provider answers at {}", provider.url());
    provider.served().await;
    Ok(())
}

fn settings(
    mut arguments: impl Iterator<Item = String>,
) -> Result<PaymentProviderSettings, String> {
    let mut settings = PaymentProviderSettings::default();
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value; {USAGE}"))?;
        match flag.as_str() {
            "--port" => {
                let port: u16 = value.parse().map_err(|_| format!("{value} is no port"))?;
                settings.address = format!("127.0.0.1:{port}");
            }
            "--webhook-url" => settings.webhook_url = Some(value),
            "--webhook-secret" => settings.webhook_secret = value,
            "--api-key" => settings.api_key = value,
            _ => return Err(format!("{flag} is unknown; {USAGE}")),
        }
    }
    Ok(settings)
}
