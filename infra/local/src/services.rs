//! What runs on this machine between commands: bring it up, take it down, say how it stands.
use std::time::{Duration, Instant};

use crate::api::mailbox;
use crate::bootstraps::{self, Programs};
use crate::checkout::{Checkout, shown};
use crate::cloud::{self, Cloud, Place};
use crate::demo;
use crate::deployment::Deployment;
use crate::endpoint::{Endpoint, REGION, agent};
use crate::failure::Failure;
use crate::fingerprints::Fingerprint;
use crate::narration::{self, age, fact, heading, line};
use crate::processes::{Life, Recorded, free_port};
use crate::provider;
use crate::state::{self, State, Turn};
use crate::toolchain::{self, Toolchain, remove_folder};

const READY_MAX: Duration = Duration::from_secs(5);
/// What `up` takes at most where there is nothing to deploy.
const UNCHANGED_MAX: Duration = Duration::from_mins(1);

/// `up`: everything, from the tools of the machine to a demo that has run through.
pub fn up(checkout: &Checkout, endpoint: Option<String>, with_demo: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let (cloud, has_changed) = bring_up(checkout, endpoint)?;
    let student = with_demo.then(|| show_demo(checkout, &cloud)).transpose()?;
    say_what_is_there(&cloud, student.as_deref())?;
    line(&format!("\n  ready after {}", narration::seconds(started.elapsed())));
    if !has_changed && started.elapsed() > UNCHANGED_MAX {
        line(
            "  nothing was deployed: that is longer than it should take; see which step above took it",
        );
    }
    Ok(())
}

/// `deploy`: like `up`, on what runs already where something does, and without the demo.
pub fn deploy(checkout: &Checkout) -> Result<(), Failure> {
    let given = State::load(checkout).given_endpoint().map(str::to_owned);
    bring_up(checkout, given).map(drop)
}

/// `demo`: the demo alone, on what is deployed.
pub fn demonstrate(checkout: &Checkout) -> Result<(), Failure> {
    show_demo(checkout, &current(checkout)?).map(drop)
}

/// Answers the address of the student whom the demo follows.
fn show_demo(checkout: &Checkout, cloud: &Cloud) -> Result<String, Failure> {
    heading("Demo");
    // Built beside the bootstraps, by the same cargo call.
    demo::run(cloud, &checkout.path("target/debug/university"), &checkout.local(""))
}

/// The cloud that `up` has brought up.
pub fn current(checkout: &Checkout) -> Result<Cloud, Failure> {
    let state = State::load(checkout);
    let (Some(url), Some(deployed)) = (state.endpoint, state.deployment) else {
        return Err(Failure::new("nothing is deployed", "Run `cargo matricula up` first."));
    };
    let provider_url = provider::url(state.provider_port.unwrap_or(provider::USUAL_PORT));
    Ok(Cloud::new(Endpoint::at(url), provider_url, deployed.outputs))
}

/// Says too whether anything was deployed.
fn bring_up(checkout: &Checkout, given: Option<String>) -> Result<(Cloud, bool), Failure> {
    let _turn = Turn::take(checkout)?;
    heading("Matricula on a local cloud");
    let toolchain = Toolchain::check()?;
    toolchain::install_cdk(checkout)?;
    let mut state = State::load(checkout);
    let programs = bootstraps::build(checkout, &mut state);
    state.save(checkout)?;
    let programs = programs?;
    let endpoint = match given {
        Some(url) => use_given_cloud(&url, &mut state)?,
        None => ensure_cloud(checkout, &toolchain, &mut state)?,
    };
    // What runs is remembered at once: `down` must find it even if the next step fails.
    state.save(checkout)?;
    let port = provider_port(&state)?;
    state.provider_port = Some(port);
    let deployment = Deployment {
        checkout,
        endpoint: &endpoint,
        provider_url: provider::url(port),
        folder: checkout.local("deployment"),
    };
    let deployed = deployment.bring_about(state.deployment.as_ref())?;
    let has_changed = state.deployment.as_ref() != Some(&deployed);
    state.deployment = Some(deployed.clone());
    state.save(checkout)?;
    let cloud = Cloud::new(endpoint, provider::url(port), deployed.outputs);
    ensure_provider(checkout, &programs, &cloud, port, &mut state)?;
    state.save(checkout)?;
    Ok((cloud, has_changed))
}

fn use_given_cloud(url: &str, state: &mut State) -> Result<Endpoint, Failure> {
    let endpoint = Endpoint::at(url);
    narration::step("local cloud", |progress| {
        progress.detail(format!("{url}, the one you gave"));
        let advice = "Start it, or leave out --endpoint: then a local cloud is started for you.";
        let problem = || Failure::new(format!("no local cloud answers at {url}"), advice);
        endpoint.is_healthy().then_some(()).ok_or_else(problem)
    })?;
    state.endpoint = Some(endpoint.url().to_owned());
    Ok(endpoint)
}

/// The cloud that runs already, or a new one on the same port as before.
fn ensure_cloud(
    checkout: &Checkout,
    toolchain: &Toolchain,
    state: &mut State,
) -> Result<Endpoint, Failure> {
    let mut fingerprint = Fingerprint::default();
    for file in ["launch.py", "requirements.txt"] {
        fingerprint.contents(&checkout.path("infra/local/cloud").join(file))?;
    }
    let fingerprint = fingerprint.finish();
    if let (Some(running), Some(port)) = (&state.cloud, state.cloud_port) {
        let endpoint = Endpoint::at(format!("http://127.0.0.1:{port}"));
        let is_current = state.cloud_fingerprint.as_ref() == Some(&fingerprint);
        if is_current && running.lives() && endpoint.is_healthy() {
            state.endpoint = Some(endpoint.url().to_owned());
            return narration::step("local cloud", |progress| {
                let since = age(state::now().saturating_sub(running.started_at));
                progress.detail(format!("{}, running for {since}", endpoint.url()));
                Ok(endpoint)
            });
        }
        running.stop()?;
    }
    toolchain.install_cloud(checkout)?;
    narration::step("local cloud", |progress| {
        let port = free_port(&[state.cloud_port, Some(cloud::USUAL_PORT)])?;
        let place = Place {
            folder: checkout.local("cloud"),
            log: checkout.local("cloud.log"),
            port,
            enforces_permissions: false,
            keeps_state: false,
            life: Life::UntilStopped,
        };
        let (service, endpoint) = cloud::start(checkout, &place)?;
        progress
            .detail(format!("{}, in memory: what is in it is gone when it stops", endpoint.url()));
        state.cloud_port = Some(port);
        state.cloud = Some(service.recorded.clone());
        state.cloud_fingerprint = Some(fingerprint);
        state.endpoint = Some(endpoint.url().to_owned());
        Ok(endpoint)
    })
}

/// The port stays the same while the stack names it.
fn provider_port(state: &State) -> Result<u16, Failure> {
    match (&state.provider, state.provider_port) {
        (Some(provider), Some(port)) if provider.lives() => Ok(port),
        _ => free_port(&[state.provider_port, Some(provider::USUAL_PORT)]),
    }
}

/// Starts the simulator, anew when its program or the API's address changed.
fn ensure_provider(
    checkout: &Checkout,
    programs: &Programs,
    cloud: &Cloud,
    port: u16,
    state: &mut State,
) -> Result<(), Failure> {
    let webhook_url = format!("{}/webhooks/payments", cloud.api_url()?);
    let mut fingerprint = Fingerprint::default();
    let fingerprint =
        fingerprint.text(&webhook_url).identity(programs.payment_provider()?)?.finish();
    narration::step("payment provider, simulated", |progress| {
        progress.detail(provider::url(port));
        if let Some(running) = &state.provider {
            if running.lives() && state.provider_fingerprint.as_ref() == Some(&fingerprint) {
                return Ok(());
            }
            running.stop()?;
        }
        let settings = provider::Settings {
            port,
            webhook_url,
            log: checkout.local("payment-provider.log"),
            life: Life::UntilStopped,
        };
        let service = provider::start(programs, &settings)?;
        state.provider = Some(service.recorded.clone());
        state.provider_fingerprint = Some(fingerprint);
        Ok(())
    })
}

/// `down`: stops what was started here, and nothing else.
pub fn down(checkout: &Checkout, wipe: bool) -> Result<(), Failure> {
    let turn = Turn::take(checkout)?;
    let mut state = State::load(checkout);
    for (name, process) in
        [("payment provider", state.provider.take()), ("local cloud", state.cloud.take())]
    {
        narration::step(name, |progress| match process {
            Some(process) if process.lives() => {
                progress.detail("stopped");
                process.stop()
            }
            _ => {
                progress.detail("was not running");
                Ok(())
            }
        })?;
    }
    state.endpoint = None;
    state.deployment = None;
    state.save(checkout)?;
    if wipe {
        drop(turn);
        narration::step("all that was made for it", |progress| {
            progress.detail("removed; the next `up` installs and packages everything again");
            remove_folder(&checkout.local(""))?;
            remove_folder(&checkout.path("target/journeys"))?;
            remove_folder(&checkout.path("target/lambda"))
        })?;
    }
    Ok(())
}

/// `status`: what runs, where, since when, and whether it answers.
pub fn status(checkout: &Checkout) -> Result<(), Failure> {
    let state = State::load(checkout);
    let Some(url) = &state.endpoint else {
        line("  nothing is up; `cargo matricula up` brings it up");
        return Ok(());
    };
    let answers = |yes: bool| if yes { "answers" } else { "does NOT answer" };
    let since = |at: u64| age(state::now().saturating_sub(at));
    let process = |process: Option<&Recorded>| match process {
        Some(process) if process.lives() => {
            format!("pid {}, for {}", process.pid, since(process.started_at))
        }
        Some(process) => format!("pid {} is gone", process.pid),
        None => "not started here".to_owned(),
    };
    let endpoint = Endpoint::at(url);
    let cloud = if state.given_endpoint().is_none() { state.cloud.as_ref() } else { None };
    fact("local cloud", &format!("{url} {} · {}", answers(endpoint.is_healthy()), process(cloud)));
    let provider_url = provider::url(state.provider_port.unwrap_or(provider::USUAL_PORT));
    let reachable = provider::is_reachable(&provider_url);
    fact(
        "payment provider",
        &format!("{provider_url} {} · {}", answers(reachable), process(state.provider.as_ref())),
    );
    let Some(deployed) = &state.deployment else {
        fact("stack", "not deployed");
        return Ok(());
    };
    let cloud = Cloud::new(endpoint, provider_url, deployed.outputs.clone());
    let api = cloud.api_url()?;
    let health = agent(READY_MAX).get(format!("{api}/healthz")).call();
    let healthy = answers(health.is_ok_and(|response| response.status() == 200));
    fact("API", &format!("{api} {healthy} · deployed {} ago", since(deployed.at)));
    for (name, value) in cloud.outputs() {
        fact(name, value);
    }
    fact("logs", &shown(&checkout.local("cloud.log")));
    Ok(())
}

/// With the accounts of the demo, where it has run.
fn say_what_is_there(cloud: &Cloud, student: Option<&str>) -> Result<(), Failure> {
    let api = cloud.api_url()?;
    heading("What is there");
    fact("API", &api);
    fact("its description", &format!("{api}/docs"));
    if let Ok(mailbox) = mailbox(cloud) {
        fact("sent mail", &format!("{}{}", cloud.endpoint.url(), mailbox.path));
    }
    fact(
        "local cloud",
        &format!("{} (key and secret: test, region {})", cloud.endpoint.url(), REGION),
    );
    fact("payment provider", &cloud.provider_url);
    if let Some(student) = student {
        heading("Demo accounts");
        let staff = demo::ACCOUNTS.iter().map(|account| (account.role, account.email));
        for (role, email) in staff.chain([("student", student)]) {
            fact(role, &format!("{email}  password: {}", demo::PASSWORD));
        }
    }
    heading("What to try next");
    fact("logs", "cargo matricula logs enrollment-submit");
    fact("a file of people", "cargo matricula import FILE");
    fact("one function", "cargo matricula invoke operations-health");
    fact("after an edit", "cargo matricula deploy");
    fact("all tests", "cargo matricula test");
    fact("stop", "cargo matricula down");
    Ok(())
}
