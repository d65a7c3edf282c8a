//! What it costs to know who calls: verifying an access token, beside PyJWT, and a log-in, beside Argon2 alone.

mod pyjwt;

use std::process::Stdio;
use std::time::Duration;

use identity::domain::Password;
use identity::operations::{authorize, log_in, read_keys, register_account, verify_email};
use identity::{Ctx, passwords};
use kernel::{AccountId, PersonName};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use shell::http::Door;
use testkit::{call, http_event, secret_not_put};
use tokio::process::Command;
use tokio::time::Instant;

use crate::engine_process::EngineProcess;
use crate::failure::{Explain, Failure};
use crate::function::{Outside, VERIFICATION_SECRET, environment};
use crate::programs::{CONTEXTS, Programs};
use crate::report::{print, row};
use crate::statistics::{median, milliseconds, rounded};

/// Verifying a token, beside PyJWT doing the same, and a log-in, beside Argon2 alone
///
/// Processor time, medians. `verify_us`: the authorizer's work on a token whose session it remembers, without the
/// gateway and the Runtime API; it makes no call of DynamoDB. `pyjwt_verify_us`: PyJWT on the same token, with the same
/// key, issuer, audience and leeway. `login_ms`: a log-in from the gateway's event to the reply, with its calls of
/// DynamoDB, which answers in another process. `argon2_ms`: hashing the same password with the same parameters. The
/// bench fails where a verification takes more than 100 µs, or a log-in more than 2 ms beside Argon2.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

const VERIFY_MAX_US: f64 = 100.0;
const LOGIN_BESIDE_ARGON2_MAX_MS: f64 = 2.0;
const IDENTITY: &str = "identity";
const EMAIL: &str = "ada@matricula.example";
const PASSWORD: &str = "a long walk along the Sanaga";

const VERIFICATIONS: usize = 200;
/// Verifications that are timed together: one alone is nearly as short as reading the clock.
const AT_ONCE: u32 = 50;
const LOG_INS: usize = 60;
/// The first log-ins build validators and connections.
const WARM_UP: usize = 5;

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    drop(Programs::ready(&CONTEXTS[..0], false, true)?);
    let engine = EngineProcess::start(&[IDENTITY]).await?;
    let ours = measured_apart(engine.url()).await?;
    engine.stop().await?;
    let theirs = pyjwt::verify_us(&ours).await?;
    let figure = |name: &str| ours[name].as_f64().unwrap_or(f64::NAN);
    let [verify, login, argon2] = ["verify_us", "login_ms", "argon2_ms"].map(figure);
    let result = json!({
        "verify_us": verify, "pyjwt_verify_us": theirs, "login_ms": login, "argon2_ms": argon2,
    });
    print(arguments.json, &result, || {
        vec![
            row([&"", &"Matricula", &"beside"]),
            row([&"verify a token, µs (PyJWT)", &verify, &theirs]),
            row([&"log in, ms (Argon2 alone)", &login, &argon2]),
        ]
    });
    if verify > VERIFY_MAX_US {
        return Err(Failure(format!("a verification takes more than {VERIFY_MAX_US} µs")));
    }
    if login > argon2 + LOGIN_BESIDE_ARGON2_MAX_MS {
        let beside = LOGIN_BESIDE_ARGON2_MAX_MS;
        return Err(Failure(format!("a log-in takes more than {beside} ms beside Argon2")));
    }
    Ok(())
}

/// Measures in a process of its own, whose environment is a function's.
async fn measured_apart(engine_url: &str) -> Result<Value, Failure> {
    let bench = std::env::current_exe().explain("where the bench itself lies is unknown")?;
    let output = Command::new(bench)
        .arg("measure-auth")
        .envs(environment(IDENTITY, &Outside::engine(engine_url)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .explain("the measuring process does not start")?;
    output.status.success().then_some(()).explain("the measuring process failed")?;
    // Before it come the lines that a function logs.
    let lines = String::from_utf8_lossy(&output.stdout);
    let last = lines.lines().last().explain("the measuring process says nothing")?;
    serde_json::from_str(last).explain("what was measured is no JSON")
}

/// The other process: one thread, as a function has.
#[expect(clippy::print_stdout, reason = "the bench that started this process reads it")]
pub async fn measure() -> Result<(), Failure> {
    let measuring = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.explain("there is no runtime")?.block_on(measure_all())
    });
    println!("{}", measuring.await.explain("the measuring broke off")??);
    Ok(())
}

async fn measure_all() -> Result<Value, Failure> {
    let ctx = Ctx::from_environment();
    register(&ctx).await?;
    let tokens = log_in(&ctx).await?;
    let token = tokens["access_token"].as_str().explain("a log-in gives a token")?.to_owned();
    let verify = verification(&ctx, &token).await?;
    let (login, argon2) = log_ins(&ctx).await?;
    let keys = read_keys::handle(&ctx, &call(read_keys::Command {})).await;
    let keys = keys.map_err(|failure| Failure(failure.line()))?;
    Ok(json!({
        "verify_us": rounded(verify.as_secs_f64() * 1_000_000.0),
        "login_ms": milliseconds(login),
        "argon2_ms": milliseconds(argon2),
        "token": token,
        "keys": keys.keys,
        "issuer": std::env::var("TOKEN_ISSUER").unwrap_or_default(),
        "audience": identity::tokens::AUDIENCE,
    }))
}

/// Processor time of this thread.
fn spent() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

async fn verification(ctx: &Ctx, token: &str) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for _ in 0..VERIFICATIONS {
        let began = spent();
        for _ in 0..AT_ONCE {
            let caller = authorize::handle(ctx, token, shell::now()).await;
            caller.map_err(|failure| Failure(failure.line()))?;
        }
        times.push(spent().saturating_sub(began) / AT_ONCE);
    }
    Ok(median(&times))
}

/// Log-ins and Argon2 in turns, so that whatever else the machine does meets both.
async fn log_ins(ctx: &Ctx) -> Result<(Duration, Duration), Failure> {
    let password = Password(PASSWORD.into());
    let hash = passwords::hash(&password).map_err(|fault| Failure(fault.chain()))?;
    let (mut whole, mut alone) = (Vec::new(), Vec::new());
    let door = Door::<log_in::Command>::new(&log_in::ROUTE);
    for number in 0..WARM_UP + LOG_INS {
        let began = spent();
        answered(&door, ctx).await?;
        let between = spent();
        passwords::is_right(&password, Some(&hash)).then_some(()).explain("it is right")?;
        if number >= WARM_UP {
            whole.push(between.saturating_sub(began));
            alone.push(spent().saturating_sub(between));
        }
    }
    Ok((median(&whole), median(&alone)))
}

async fn log_in(ctx: &Ctx) -> Result<Value, Failure> {
    answered(&Door::<log_in::Command>::new(&log_in::ROUTE), ctx).await
}

async fn answered(door: &Door<'_, log_in::Command>, ctx: &Ctx) -> Result<Value, Failure> {
    let event = http_event("POST", &[], &json!({ "login": EMAIL, "password": PASSWORD }), None);
    let deadline = Instant::now() + Duration::from_secs(10);
    let reply = door.answer(ctx, &log_in::handle, &event, deadline).await;
    let body = reply["body"].as_str().unwrap_or_default();
    (reply["statusCode"] == 200).then_some(()).explain(&format!("a log-in fails: {body}"))?;
    serde_json::from_str(body).explain("a reply is JSON")
}

/// Somebody to log in.
async fn register(ctx: &Ctx) -> Result<AccountId, Failure> {
    let register = call(register_account::Command {
        email: EMAIL.parse().explain("it is an address")?,
        password: Password(PASSWORD.into()),
        name: PersonName { given: "Ada".into(), family: "Lovelace".into() },
        locale: None,
    });
    let failed = |failure: shell::Failure| Failure(failure.line());
    let account = register_account::handle(ctx, &register).await.map_err(failed)?.account;
    let secret = secret_not_put(VERIFICATION_SECRET);
    let code = events::verification_code(secret.as_bytes(), account, register.now);
    let verify = call(verify_email::Command { account, code });
    verify_email::handle(ctx, &verify).await.map_err(failed)?;
    Ok(account)
}
