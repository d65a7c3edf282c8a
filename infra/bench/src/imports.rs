//! Whether the memory that the validation of an import takes depends on how large the file is.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use testkit::{UniversitySettings, university};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};
use zip::ZipArchive;

use crate::Common;
use crate::engine_process::EngineProcess;
use crate::failure::{Explain, Failure};
use crate::function::{Function, Functions, Outside};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::{Request, carried_out, registrar, step};
use crate::statistics::{mebibytes, rounded};

const OPERATIONS: &str = "operations";
/// As the validation is deployed.
const VALIDATION_TIMEOUT: Duration = Duration::from_mins(15);
const GROWTH_MAX_MIB: f64 = 24.0;

/// The memory that the validation of a university's file takes
///
/// A made-up university with that many rows in all its files lies in a played bucket. One process of the real
/// `operations-validate-import` looks through all of it and writes its chunks; another does the same with a tenth of
/// the rows. `peak_mib`: the process's VmHWM. The bench fails where ten times the rows take more than 24 MiB more, or
/// where the file is not found good.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Rows of all files together, about
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(2_000..=400_000))]
    rows: u32,
}

struct Validation {
    rows: usize,
    file_kib: u64,
    chunks: u64,
    seconds: f64,
    peak_mib: f64,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = Programs::ready(&[OPERATIONS], false, arguments.common.no_build)?;
    let tenth = validation(&programs, arguments.rows / 10).await?;
    let whole = validation(&programs, arguments.rows).await?;
    let growth = rounded(whole.peak_mib - tenth.peak_mib);
    let [tenth, whole] = [tenth, whole].map(|it| it.result());
    let result = json!({ "tenth": tenth, "whole": whole, "peak_growth_mib": growth });
    print(arguments.common.json, &result, || table(&result));
    let what = format!("ten times the rows take {growth} MiB more, not {GROWTH_MAX_MIB} at most");
    (growth <= GROWTH_MAX_MIB).then_some(()).explain(&what)
}

impl Validation {
    fn result(&self) -> Value {
        let Self { rows, file_kib, chunks, seconds, peak_mib } = self;
        json!({
            "rows": rows, "file_mib": mebibytes(*file_kib), "chunks": chunks, "seconds": seconds,
            "peak_mib": peak_mib,
        })
    }
}

fn table(result: &Value) -> Vec<Vec<String>> {
    let figures = |name: &str| {
        let of = &result[name];
        row([&name, &of["rows"], &of["file_mib"], &of["chunks"], &of["seconds"], &of["peak_mib"]])
    };
    let head = row([&"", &"rows", &"file MiB", &"chunks", &"seconds", &"peak MiB"]);
    vec![head, figures("tenth"), figures("whole")]
}

async fn validation(programs: &Programs, rows: u32) -> Result<Validation, Failure> {
    // Of each thousand rows some 650 tell of students, twice each, and 265 of who sits where.
    let settings = UniversitySettings { seed: 7, students: rows * 13 / 40, sections: rows / 20 };
    let file = university(&settings).archive;
    let rows = rows_in(&file)?;
    let file_kib = file.len() as u64 / 1_024;
    let engine = EngineProcess::start(&[OPERATIONS]).await?;
    let world = Arc::new(World::new(file, engine.url()));
    let (url, front) = open_front(Arc::clone(&world)).await?;
    let outside = Outside::engine(&url);
    let mut functions = Functions::new(programs, outside.clone());
    let import = Request::post(json!({ "file_name": "university.zip" })).by(registrar()).event();
    let import = carried_out(&functions.invoke(OPERATIONS, "create-import", import).await?)?;
    let timeout = VALIDATION_TIMEOUT;
    let function =
        Function::start_for(timeout, programs, &outside, OPERATIONS, "validate-import", 1).await;
    let began = Instant::now();
    let reply =
        function.invoker().invoke(step(json!({ "import": import["id"], "run": 1 }))).await?;
    let seconds = rounded(began.elapsed().as_secs_f64());
    let peak_mib = mebibytes(function.peak_kib()?);
    function.stop().await?;
    functions.stop().await?;
    front.abort();
    engine.stop().await?;
    let is_good = matches!(reply["state"].as_str(), Some("validated" | "checking"));
    is_good.then_some(()).explain(&format!("the file was not found good: {reply}"))?;
    let chunks = world.chunks.load(Ordering::Relaxed);
    (chunks > 0).then_some(()).explain("no chunk was written")?;
    Ok(Validation { rows, file_kib, chunks, seconds, peak_mib })
}

/// Lines of all files but their headers.
fn rows_in(file: &[u8]) -> Result<usize, Failure> {
    let mut archive = ZipArchive::new(Cursor::new(file)).explain("the university is no zip")?;
    let mut rows = 0;
    for at in 0..archive.len() {
        let mut text = String::new();
        let mut file = archive.by_index(at).explain("a file of the university is lacking")?;
        file.read_to_string(&mut text).explain("a file of the university is no text")?;
        rows += text.lines().count().saturating_sub(1);
    }
    Ok(rows)
}

/// What the function finds at the one address that it knows: a bucket with the file in it, and the engine.
struct World {
    file: Bytes,
    engine: String,
    client: reqwest::Client,
    chunks: AtomicU64,
}

impl World {
    fn new(file: Vec<u8>, engine: &str) -> Self {
        let client = reqwest::Client::new();
        Self { file: file.into(), engine: engine.to_owned(), client, chunks: AtomicU64::new(0) }
    }

    async fn ask_engine(&self, mut headers: HeaderMap, body: Bytes) -> Response {
        for named in [header::HOST, header::CONTENT_LENGTH] {
            headers.remove(named);
        }
        let asked = self.client.post(&self.engine).headers(headers).body(body).send().await;
        let Ok(answer) = asked else { return StatusCode::BAD_GATEWAY.into_response() };
        let status = answer.status();
        let Ok(body) = answer.bytes().await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let json = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
        (status, json, Body::from(body)).into_response()
    }
}

async fn open_front(world: Arc<World>) -> Result<(String, JoinHandle<()>), Failure> {
    let what = "the played bucket cannot listen";
    let listener = TcpListener::bind("127.0.0.1:0").await.explain(what)?;
    let url = format!("http://{}", listener.local_addr().explain(what)?);
    let router = Router::new().fallback(answer).with_state(world);
    let serving = async { axum::serve(listener, router).await.expect("the bucket serves") };
    Ok((url, tokio::spawn(serving)))
}

async fn answer(
    State(world): State<Arc<World>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.contains_key("x-amz-target") {
        return world.ask_engine(headers, body).await;
    }
    if method == Method::GET {
        return world.file.clone().into_response();
    }
    world.chunks.fetch_add(1, Ordering::Relaxed);
    StatusCode::OK.into_response()
}
