//! A Moodle site, played, as a process of its own: for the developer's command and for trying things out.

use testkit::{MoodleSite, MoodleSiteSettings};

const USAGE: &str = "usage: moodle-site --port PORT [--token TOKEN] [--latency-per-cent N]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let site = MoodleSite::start(settings(std::env::args().skip(1))?).await;
    eprintln!("The Moodle site answers at {}", site.url());
    site.served().await;
    Ok(())
}

fn settings(mut arguments: impl Iterator<Item = String>) -> Result<MoodleSiteSettings, String> {
    let mut settings = MoodleSiteSettings::default();
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value; {USAGE}"))?;
        let number = || value.parse().map_err(|_| format!("{value} is no number"));
        match flag.as_str() {
            "--port" => {
                let port: u16 = value.parse().map_err(|_| format!("{value} is no port"))?;
                settings.address = format!("127.0.0.1:{port}");
            }
            "--token" => settings.token = value,
            "--latency-per-cent" => settings.latency_per_cent = number()?,
            _ => return Err(format!("{flag} is unknown; {USAGE}")),
        }
    }
    Ok(settings)
}
