//! Cold starts: each bootstrap from `exec` to its first poll and to its first reply that needed DynamoDB, beside a
//! hello world's on the same machine at the same time.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use kernel::{Id, InvoiceId, RegistrationId, TermId};
use serde_json::{Value, json};
use testkit::RuntimeApi;
use tokio::time::Instant;
use zip::write::SimpleFileOptions;

use crate::bars;
use crate::engine_process::EngineProcess;
use crate::failure::{Explain, Failure};
use crate::function::{DEADLINE, Outside, invoke, spawn, stop};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::{Request, registrar, student};
use crate::statistics::{mebibytes, median, milliseconds, rounded};
use crate::{Chosen, Common};

/// Start of every bootstrap, beside a hello world's: until the first poll and the first reply
///
/// Each time, every program is started `runs` times in turn, so that noise hits all alike, and medians are told.
/// `first_poll_ms`: from `exec` until the Runtime API is first polled. `first_reply_ms`: from `exec` until the reply
/// to an invocation that already waits, of an operation that reads DynamoDB (an engine in another process). `ratio`:
/// the first reply, compared with that of hello, a function that only answers. `peak_mib`: the process's own VmHWM
/// after that reply. `zip_mb`: the bootstrap, deflated as it is packaged, in millions of bytes. The bench fails at a ratio
/// of more than 4, and at more than 40 MiB.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    chosen: Chosen,
    /// Starts of each program
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(15..))]
    runs: u32,
}

const HELLO: &str = "hello";
const RATIO_MAX: f64 = 4.0;

/// An operation that reads DynamoDB, called over HTTP for something that need not exist.
fn reading(context: &str) -> (&'static str, Request) {
    let as_student = || Request::get().by(student(1));
    match context {
        "identity" => ("read-profile", as_student()),
        "catalog" => ("read-term", as_student().at("term", &TermId::derived_from("none"))),
        "enrollment" => {
            let registration = RegistrationId::derived_from("none");
            ("read-registration", as_student().at("registration", &registration))
        }
        "billing" => ("read-invoice", as_student().at("invoice", &InvoiceId::derived_from("none"))),
        "moodle" => ("list-sites", Request::get().by(registrar())),
        "notifications" => ("list-messages", as_student()),
        "operations" => ("readiness", Request::get()),
        _ => (HELLO, Request::get()),
    }
}

struct Start {
    first_poll: Duration,
    first_reply: Duration,
    peak_kib: u64,
}

struct Medians {
    first_poll: Duration,
    first_reply: Duration,
    peak_kib: u64,
    zip_bytes: usize,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contexts = &arguments.chosen.contexts;
    let programs = Programs::ready(contexts, true, arguments.common.no_build)?;
    let mut engine = EngineProcess::start(contexts).await?;
    let mut names = vec![HELLO];
    names.extend(contexts.iter().map(String::as_str));
    for name in &names {
        assert_idle_at_init(&programs, name, &mut engine).await?;
    }
    let mut starts: BTreeMap<&str, Vec<Start>> = BTreeMap::new();
    // The first round warms the machine's caches and does not count.
    for round in 0..=arguments.runs {
        for name in &names {
            let start = start(&programs, name, &mut engine).await?;
            if round > 0 {
                starts.entry(name).or_default().push(start);
            }
        }
    }
    engine.stop().await?;
    let mut medians = Vec::new();
    for name in names {
        let zip_bytes = zipped_bytes(&programs.file(name))?;
        medians.push((name, Medians::of(&starts[name], zip_bytes)));
    }
    print(arguments.common.json, &result(&medians), || table(&medians));
    check(&medians)
}

/// What is asked of AWS before anybody has called is paid for by every start.
async fn assert_idle_at_init(
    programs: &Programs,
    name: &str,
    engine: &mut EngineProcess,
) -> Result<(), Failure> {
    let api = RuntimeApi::start(DEADLINE).await;
    engine.take_calls().await?;
    let outside = Outside::engine(engine.url());
    let bootstrap = spawn(&programs.file(name), name, reading(name).0, &api, &outside);
    let polled = tokio::time::timeout(DEADLINE, api.first_poll()).await;
    polled.explain(&format!("{name} does not poll"))?;
    stop(bootstrap).await?;
    let calls = engine.take_calls().await?;
    let is_idle = calls.reads + calls.writes == 0;
    is_idle.then_some(()).explain(&format!("{name} calls DynamoDB before its first invocation"))
}

/// One start with one invocation that waits for it.
async fn start(
    programs: &Programs,
    name: &str,
    engine: &mut EngineProcess,
) -> Result<Start, Failure> {
    let (operation, request) = reading(name);
    let event = request.event();
    let api = RuntimeApi::start(DEADLINE).await;
    engine.take_calls().await?;
    let mut bootstrap =
        spawn(&programs.file(name), name, operation, &api, &Outside::engine(engine.url()));
    let began = bootstrap.began;
    let replied = async { invoke(&api, name, event).await.map(|reply| (reply, Instant::now())) };
    let (first_poll, replied) = tokio::select! {
        both = async { tokio::join!(api.first_poll(), replied) } => both,
        _ = bootstrap.process.wait() => {
            return Err(Failure(format!("{name} {operation} ended before it answered")));
        }
    };
    let (reply, replied) = replied?;
    let peak_kib = bootstrap.peak_kib().explain("the process does not tell its memory")?;
    stop(bootstrap).await?;
    let calls = engine.take_calls().await?;
    if name != HELLO
        && (calls.reads == 0 || !matches!(reply["statusCode"].as_u64(), Some(200 | 404)))
    {
        return Err(Failure(format!("{name} {operation} did not read: {reply}")));
    }
    Ok(Start { first_poll: first_poll - began, first_reply: replied - began, peak_kib })
}

impl Medians {
    fn of(starts: &[Start], zip_bytes: usize) -> Self {
        let first_polls: Vec<_> = starts.iter().map(|start| start.first_poll).collect();
        let first_replies: Vec<_> = starts.iter().map(|start| start.first_reply).collect();
        let peaks: Vec<_> = starts.iter().map(|start| start.peak_kib).collect();
        Self {
            first_poll: median(&first_polls),
            first_reply: median(&first_replies),
            peak_kib: median(&peaks),
            zip_bytes,
        }
    }

    fn ratio_to(&self, hello: &Self) -> f64 {
        rounded(self.first_reply.as_secs_f64() / hello.first_reply.as_secs_f64())
    }

    #[expect(clippy::cast_precision_loss, reason = "a zip has less than 2^52 bytes")]
    fn zip_mb(&self) -> f64 {
        rounded(self.zip_bytes as f64 / 1_000_000.0)
    }
}

fn result(medians: &[(&str, Medians)]) -> Value {
    let (hello, contexts) = medians.split_first().expect("hello is always measured");
    let hello = &hello.1;
    let context = |(name, medians): &(&str, Medians)| {
        let measured = json!({
            "first_poll_ms": milliseconds(medians.first_poll),
            "first_reply_ms": milliseconds(medians.first_reply),
            "ratio": medians.ratio_to(hello),
            "peak_mib": mebibytes(medians.peak_kib),
            "zip_mb": medians.zip_mb(),
        });
        ((*name).to_owned(), measured)
    };
    json!({
        "hello": {
            "first_poll_ms": milliseconds(hello.first_poll),
            "first_reply_ms": milliseconds(hello.first_reply),
        },
        "contexts": contexts.iter().map(context).collect::<serde_json::Map<_, _>>(),
    })
}

fn table(medians: &[(&str, Medians)]) -> Vec<Vec<String>> {
    let hello = &medians[0].1;
    let mut rows = vec![row([
        &"program",
        &"first poll ms",
        &"first reply ms",
        &"ratio",
        &"peak MiB",
        &"zip MB",
    ])];
    rows.extend(medians.iter().map(|(name, medians)| {
        row([
            name,
            &milliseconds(medians.first_poll),
            &milliseconds(medians.first_reply),
            &medians.ratio_to(hello),
            &mebibytes(medians.peak_kib),
            &medians.zip_mb(),
        ])
    }));
    rows
}

fn check(medians: &[(&str, Medians)]) -> Result<(), Failure> {
    let (hello, contexts) = medians.split_first().expect("hello is always measured");
    let over = contexts.iter().flat_map(|(name, medians)| {
        let ratio = medians.ratio_to(&hello.1);
        let slow = (ratio > RATIO_MAX).then(|| {
            format!("{name} takes {ratio} times as long as hello, more than {RATIO_MAX} times")
        });
        slow.into_iter().chain(bars::memory(name, medians.peak_kib))
    });
    bars::check(&over.collect::<Vec<_>>())
}

/// As it is packaged: one file named `bootstrap`, deflated as far as deflate goes.
fn zipped_bytes(bootstrap: &Path) -> Result<usize, Failure> {
    const LEVEL: i64 = 9;
    let program = std::fs::read(bootstrap).explain("a bootstrap cannot be read")?;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", SimpleFileOptions::default().compression_level(Some(LEVEL)))
        .explain("a zip cannot be begun")?;
    zip.write_all(&program).explain("a zip cannot be written")?;
    Ok(zip.finish().explain("a zip cannot be ended")?.into_inner().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medians(first_reply_ms: u64, peak_mib: u64) -> Medians {
        let first_reply = Duration::from_millis(first_reply_ms);
        let peak_kib = peak_mib * 1_024;
        Medians { first_poll: first_reply, first_reply, peak_kib, zip_bytes: 1 }
    }

    #[test]
    fn a_start_is_too_slow_beside_hello_or_too_large_by_itself() {
        let told = |context| check(&[(HELLO, medians(2, 3)), ("billing", context)]);
        assert!(told(medians(8, 40)).is_ok());
        let Failure(slow) = told(medians(9, 40)).expect_err("4.5 times as long");
        assert_eq!(slow, "billing takes 4.5 times as long as hello, more than 4 times");
        let Failure(large) = told(medians(8, 41)).expect_err("41 MiB");
        assert_eq!(large, "billing takes 41 MiB, more than 40");
    }
}
