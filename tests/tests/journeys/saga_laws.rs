//! The laws of the enrollment saga on the deployed machine: whichever step keeps failing, is carried out twice or loses
//! its process, in the end nothing is left over. `saga_laws.rs` beside the journeys has them in process, step by step.
//!
//! What is to go wrong is told by the submission's correlation id, for which these journeys put switches into the
//! deployed definition. Executions that say nothing, as those of all other journeys, pass every switch by.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::unique;
use crate::cloud;
use crate::courses::{Offer, Term, assert_taken};
use crate::mail::await_mail;
use crate::patience::eventually;
use crate::people::{Person, newcomer, staff};
use crate::sagas::{Bundle, await_payment, francs, invoice, start_payment};

/// Steps on the way to the confirmation and behind it.
const FORWARD: [&str; 7] = [
    "AwaitApproval",
    "Charge",
    "RecordCharge",
    "AwaitSettlement",
    "Confirm",
    "NotifyRegistered",
    "Close",
];
/// Steps once the payment has timed out.
const UNPAID: [&str; 6] =
    ["ChargeAfterTimeOut", "BeginUndo", "ReverseCharge", "ReleaseSeats", "NotifyReleased", "Close"];
/// Of the definition that has the switches; another one where they change.
const SWITCHES: &str = "With switches for the saga's laws, 2";
/// Above the minute in which the reconciler leaves a bundle alone, and its waits.
const END_WITHIN: Duration = Duration::from_mins(10);

/// What an end is in which nothing is left over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Registered,
    Released,
}

#[test]
fn whichever_step_keeps_failing_nothing_is_left_over_once_it_goes_on() {
    let term = Term::open();
    let forward = FORWARD.map(|step| (format!("fails-at-{step}-once"), End::Registered));
    let undone = UNPAID.map(|step| {
        // Before the undo has begun the saga goes on to wait for the money.
        let is_undone = !matches!(step, "ChargeAfterTimeOut" | "BeginUndo");
        let end = if is_undone { End::Released } else { End::Registered };
        (format!("unpaid-fails-at-{step}-once"), end)
    });
    walk_all(&term, forward.into_iter().chain(undone));
}

#[test]
fn every_step_carried_out_twice_does_what_one_does() {
    let term = Term::open();
    let ways = [("repeats", End::Registered), ("unpaid-repeats", End::Released)];
    walk_all(&term, ways.map(|(wish, end)| (wish.to_owned(), end)));
}

/// The answer got lost, and only the time-out ends the waiting; then the saga looks once more.
#[test]
fn an_approval_and_a_payment_that_nobody_was_told_of_still_count() {
    let _turn = take_turn();
    let ways = ["deaf-to-approval", "deaf-to-payment"];
    walk_all(&Term::open(), ways.map(|wish| (wish.to_owned(), End::Registered)));
}

#[test]
fn processes_killed_between_any_two_steps_leave_nothing_half_done() {
    const STUDENTS: usize = 8;
    let _turn = take_turn();
    let term = Term::open();
    let ways = (0..STUDENTS).map(|number| match number % 2 {
        0 => ("plain".to_owned(), End::Registered),
        _ => ("unpaid".to_owned(), End::Released),
    });
    thread::scope(|scope| {
        let killing = scope.spawn(kill_saga_steps_at_any_moment);
        walk_all(&term, ways);
        let killed = killing.join().expect("nothing panics while it kills");
        assert!(killed > 0, "no process was killed");
    });
}

/// Each way is walked by a student of their own, all at the same time.
fn walk_all(term: &Term, ways: impl IntoIterator<Item = (String, End)>) {
    staff();
    install_switches();
    thread::scope(|scope| {
        let walks: Vec<_> = ways
            .into_iter()
            .map(|(wish, end)| (wish.clone(), scope.spawn(move || walk(term, &wish, end))))
            .collect();
        for (wish, walk) in walks {
            assert!(walk.join().is_ok(), "{wish} did not end well");
        }
    });
}

fn walk(term: &Term, wish: &str, end: End) {
    let student = newcomer("Lawrence");
    let section = term.section(Offer { approval_required: true, ..Offer::PLAIN });
    let bundle = submit(&student, term, &section, wish);
    let (mut approved, mut paid) = (false, false);
    eventually(&format!("{wish} has come to its end"), END_WITHIN, || {
        let progress = bundle.progress();
        if is_closed(&bundle) {
            return Ok(());
        }
        if !progress["parked"].is_null() {
            let resume = json!({ "submission": bundle.submission });
            let path = format!("/parked-bundles/{}/resume", bundle.id);
            staff().registrar.api.post(&path, &resume);
        }
        let approval = progress["approvals"][0].as_str().filter(|_| !approved);
        if let Some(approval) = approval {
            let word = json!({ "decision": "approve" });
            let path = format!("/approvals/{approval}/decision");
            staff().head.api.post(&path, &word).expect(200);
            approved = true;
        }
        let may_pay =
            end == End::Registered && !(wish.contains("unpaid") && progress["attempt"] == 1);
        if may_pay && !paid && progress["state"] == "awaiting_payment" {
            let id = progress["invoice"].as_str().expect("what awaits payment has an invoice");
            let payment = start_payment(&student, id, "pm_card_visa");
            await_payment(&student, &payment, "succeeded");
            paid = true;
        }
        // A last step that fails is nobody's to resume: the schedule finds it, or we do.
        if wish.contains("fails-at-Close") {
            cloud::invoke("enrollment-reconcile-sagas", &json!({}));
        }
        Err(progress.to_string())
    });
    if wish.contains("repeats") {
        every_step_was_repeated(&bundle, end);
    }
    let looked_again = match wish {
        "deaf-to-approval" => Some("BeginUndo"),
        "deaf-to-payment" => Some("ChargeAfterTimeOut"),
        _ => None,
    };
    if let Some(state) = looked_again {
        let entered = cloud::entered_states(&bundle.id, 1);
        assert!(entered.iter().any(|entered| entered == state), "{entered:?}");
    }
    nothing_is_left_over(&bundle, wish, end);
}

/// But for the one that timed out, which the saga leaves by another way.
fn every_step_was_repeated(bundle: &Bundle<'_>, end: End) {
    let steps = match end {
        End::Registered => FORWARD.to_vec(),
        End::Released => [&FORWARD[..3], &UNPAID].concat(),
    };
    eventually("every step was carried out twice", END_WITHIN, || {
        let entered = cloud::entered_states(&bundle.id, 1);
        let repeated = |step: &&str| entered.contains(&format!("{step} again"));
        if steps.iter().all(repeated) { Ok(()) } else { Err(format!("{entered:?}")) }
    });
}

fn submit<'p>(student: &'p Person, term: &Term, section: &str, wish: &str) -> Bundle<'p> {
    let cart = json!({ "term": term.id, "sections": [section] });
    let call = student.api.call("POST", "/submissions").key(&unique("key")).json(&cart);
    let reply = call.header("x-correlation-id", wish).send().expect(201);
    Bundle {
        student,
        submission: reply.text("/id"),
        id: reply.text("/bundles/0/bundle"),
        registration: reply.text("/bundles/0/registrations/0/registration"),
        section: section.to_owned(),
    }
}

fn is_closed(bundle: &Bundle<'_>) -> bool {
    let pk = format!("SUBMISSION#{}", bundle.submission);
    let stored = cloud::stored("enrollment", &pk, &format!("BUNDLE#{}", bundle.id));
    stored.is_some_and(|stored| stored.pointer("/closed/BOOL") == Some(&json!(true)))
}

/// The seat is had by whoever is registered, every charge has a registration or a reversal, and each end is told once.
fn nothing_is_left_over(bundle: &Bundle<'_>, wish: &str, end: End) {
    let progress = bundle.progress();
    let is_registered = end == End::Registered;
    let (bundle_state, state, subject) = match end {
        End::Registered => ("confirmed", "registered", "is confirmed"),
        End::Released => ("released", "released", "did not go through"),
    };
    assert_eq!(progress["state"], bundle_state, "{wish}: {progress}");
    assert_eq!(progress["parked"], json!(null), "{wish}: {progress}");
    // What fails once has to be started again, and nothing else has to.
    let attempts = 1 + i32::from(wish.contains("fails-at"));
    assert_eq!(progress["attempt"], attempts, "{wish}: {progress}");
    assert_eq!(bundle.registration_state(), state, "{wish}");
    assert_taken(&bundle.section, i64::from(is_registered));
    let invoices = bundle.student.api.list("/invoices");
    assert_eq!(invoices.len(), 1, "{wish}: {invoices:?}");
    let id = invoices[0]["id"].as_str().expect("an invoice has an id");
    let invoice = invoice(bundle.student, id);
    assert_eq!(francs(&invoice["open"]), 0, "{wish}: {invoice}");
    let credited = francs(&invoice["credited"]);
    assert_eq!(credited == 0, is_registered, "{wish}: {invoice}");
    await_mail(&bundle.student.email, subject, 1);
}

/// Puts the switches into the deployed definition, once for all journeys of this process.
fn install_switches() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let definition = cloud::enrollment_machine();
        let comment = definition["Comment"].as_str().unwrap_or_default();
        if comment != SWITCHES {
            let deployed = definition["States"].get("Confirm?").is_none();
            assert!(deployed, "other switches are there: `cargo matricula down`, and `up` again");
            cloud::replace_enrollment_machine(&with_switches(definition));
        }
    });
}

fn with_switches(mut machine: Value) -> Value {
    machine["Comment"] = SWITCHES.into();
    let states = machine["States"].as_object_mut().expect("a machine has states");
    let tasks: Vec<String> = FORWARD.iter().chain(&UNPAID).map(|step| (*step).to_owned()).collect();
    let settlement = &mut states["AwaitSettlement"]["TimeoutSeconds"];
    *settlement = json!("{% $contains($correlation_id, 'unpaid') ? 5 : $payment_timeout_s %}");
    for step in &tasks {
        if states.contains_key(&format!("{step}?")) {
            continue;
        }
        let original = states[step].clone();
        let mut failing = original.clone();
        failing["Arguments"]["FunctionName"] = "enrollment-does-not-exist".into();
        failing.as_object_mut().expect("a state").remove("Retry");
        states.insert(format!("{step} fails"), failing);
        let next = original["Next"].as_str().unwrap_or("End").to_owned();
        let task = states[step].as_object_mut().expect("a state");
        task.remove("End");
        task.insert("Next".into(), format!("{step} done").into());
        let switch = |wish: &str, there: String, otherwise: &str| {
            let condition = format!("{{% $contains($correlation_id, '{wish}') %}}");
            let choice = json!({ "Condition": condition, "Next": there });
            json!({ "Type": "Choice", "Choices": [choice], "Default": otherwise })
        };
        let fails = switch(&format!("fails-at-{step}-once"), format!("{step} fails"), step);
        states.insert(format!("{step}?"), fails);
        states.insert(format!("{step} done"), switch("repeats", format!("{step} again"), &next));
        states.insert(format!("{step} again"), original);
    }
    states.insert("End".into(), json!({ "Type": "Succeed" }));
    for (step, wish) in
        [("AwaitApproval", "deaf-to-approval"), ("AwaitSettlement", "deaf-to-payment")]
    {
        let deaf_step = deaf(states, step);
        states.insert(format!("{step} deaf"), deaf_step);
        let choices = states[&format!("{step}?")]["Choices"].as_array_mut().expect("a switch");
        choices.push(json!({
            "Condition": format!("{{% $contains($correlation_id, '{wish}') %}}"),
            "Next": format!("{step} deaf"),
        }));
    }
    let names: Vec<String> = states.keys().cloned().collect();
    for name in names {
        let is_switch = name.ends_with('?');
        for reference in references(&mut states[&name]) {
            let switched = format!("{}?", reference.as_str().unwrap_or_default());
            if !is_switch && tasks.iter().any(|step| format!("{step}?") == switched) {
                *reference = switched.into();
            }
        }
    }
    machine
}

/// Does what the step does, but with a token that is nobody's: only the time-out ends it.
fn deaf(states: &serde_json::Map<String, Value>, step: &str) -> Value {
    const LONG_ENOUGH_TO_ACT_S: u32 = 20;
    let mut deaf = states[step].clone();
    deaf["TimeoutSeconds"] = LONG_ENOUGH_TO_ACT_S.into();
    deaf["Arguments"]["Payload"]["task_token"] = "nobody's".into();
    deaf
}

/// Everything in a state that names another one.
fn references(state: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (name, member) in state.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "Next" | "Default" => found.push(member),
            "Choices" | "Catch" => {
                let ways = member.as_array_mut().into_iter().flatten();
                found.extend(ways.filter_map(|way| way.get_mut("Next")));
            }
            _ => {}
        }
    }
    found
}

/// Whoever waits with a token that is nobody's would wait for the whole of the machine's retries after a kill: one at a
/// time, until this is dropped.
fn take_turn() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("saga-laws.lock");
    let turn = File::create(path).expect("the lock can be written");
    turn.lock().expect("the lock can be taken");
    turn
}

/// For some seconds, one process after the other that carries out a step of the saga; answers how many.
fn kill_saga_steps_at_any_moment() -> usize {
    const PERIOD: Duration = Duration::from_millis(400);
    const LASTS: Duration = Duration::from_secs(20);
    let began = Instant::now();
    let mut killed = 0;
    while began.elapsed() < LASTS {
        let processes = saga_processes();
        if !processes.is_empty() {
            let one = &processes[killed % processes.len()];
            let kill = Command::new("kill").args(["-9", one]).output().expect("kill can be run");
            killed += usize::from(kill.status.success());
        }
        thread::sleep(PERIOD);
    }
    killed
}

/// Processes of the saga's functions in this cloud, by their environment.
fn saga_processes() -> Vec<String> {
    const STEPS: [&str; 9] = [
        "enrollment-await-approval",
        "billing-charge",
        "enrollment-record-charge",
        "billing-await-settlement",
        "enrollment-confirm",
        "enrollment-begin-undo",
        "billing-reverse-charge",
        "enrollment-release-seats",
        "enrollment-close",
    ];
    let endpoint = format!("AWS_ENDPOINT_URL={}", cloud::setting("MATRICULA_CLOUD_URL"));
    let processes = fs::read_dir("/proc").expect("Linux tells its processes").flatten();
    let is_step = |environment: &[u8]| {
        let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        let has = |variable: &str| variables.contains(&variable.as_bytes());
        has(&endpoint) && STEPS.iter().any(|step| has(&format!("AWS_LAMBDA_FUNCTION_NAME={step}")))
    };
    processes
        .filter(|process| {
            fs::read(process.path().join("environ")).is_ok_and(|environment| is_step(&environment))
        })
        .filter_map(|process| process.file_name().into_string().ok())
        .collect()
}
