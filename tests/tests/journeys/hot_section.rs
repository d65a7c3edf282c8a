//! The hour at which registration opens: two hundred students want thirty seats at the same moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Reply, unique};
use crate::courses::{Offer, Term, assert_taken};
use crate::mail;
use crate::patience::eventually;
use crate::people::{self, Person};

const STUDENTS: usize = 200;
const SEATS: u32 = 30;
/// Passwords are hashed on purpose slowly: more at once only wait for each other.
const OPENING_AT_ONCE: usize = 4;
const MAILS_WITHIN: Duration = Duration::from_mins(3);

#[test]
fn two_hundred_students_share_thirty_seats_exactly() {
    let term = Term::open();
    let section = term.section(Offer { capacity: SEATS, ..Offer::PLAIN });
    let began = Instant::now();
    let students = open_accounts();
    eprintln!("{STUDENTS} accounts in {:.1?}", began.elapsed());
    let began = Instant::now();
    let replies = all_at_once(&students, &term, &section);
    eprintln!("{STUDENTS} submissions in {:.1?}", began.elapsed());
    assert_eq!(verdicts(&replies), expected_verdicts());
    assert_taken(&section, i64::from(SEATS));
    let registered = students.iter().zip(&replies).filter(|(_, reply)| reply.status == 201);
    for (student, reply) in registered {
        let listed = student.api.list("/registrations");
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0]["submission"], reply.body["id"]);
    }
}

/// How often each answer was given.
fn verdicts(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut verdicts = BTreeMap::new();
    for reply in replies {
        let code = reply.body["code"].as_str().unwrap_or_default();
        *verdicts.entry(format!("{} {code}", reply.status)).or_default() += 1;
    }
    verdicts
}

fn expected_verdicts() -> BTreeMap<String, usize> {
    let seats = SEATS as usize;
    BTreeMap::from([("201 ".to_owned(), seats), ("409 CLOSED".to_owned(), STUDENTS - seats)])
}

/// Distinct students, verified by mail; the mail box is opened for all of them together.
fn open_accounts() -> Vec<Person> {
    let addresses: Vec<String> = (0..STUDENTS).map(|_| people::address("Hot")).collect();
    let accounts = in_turns(&addresses, |address| people::register(address, "Hot"));
    let codes = eventually("every verification code", MAILS_WITHIN, || {
        let mails = mail::all();
        let codes: HashMap<String, String> = mails
            .iter()
            .filter_map(|mail| Some((mail.to.clone(), mail.code()?.to_owned())))
            .collect();
        let missing = addresses.iter().filter(|address| !codes.contains_key(*address)).count();
        if missing == 0 { Ok(codes) } else { Err(format!("all but {missing}")) }
    });
    let known: Vec<_> = addresses.iter().zip(&accounts).collect();
    in_turns(&known, |(address, account)| {
        people::verify(account, &codes[*address]);
        people::log_in(address)
    })
}

/// A few at a time, in the order of what is given.
fn in_turns<T: Sync, R: Send>(all: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = all.len().div_ceil(OPENING_AT_ONCE);
    thread::scope(|scope| {
        let turns: Vec<_> = all
            .chunks(share)
            .map(|chunk| scope.spawn(|| chunk.iter().map(&one).collect::<Vec<_>>()))
            .collect();
        turns.into_iter().flat_map(|turn| turn.join().expect("a turn ends")).collect()
    })
}

fn all_at_once(students: &[Person], term: &Term, section: &str) -> Vec<Reply> {
    let start = Barrier::new(students.len());
    let cart = json!({ "term": term.id, "sections": [section] });
    thread::scope(|scope| {
        let crowd: Vec<_> = students
            .iter()
            .map(|student| {
                scope.spawn(|| {
                    start.wait();
                    insist(student, &cart)
                })
            })
            .collect();
        crowd.into_iter().map(|one| one.join().expect("everybody gets a reply")).collect()
    })
}

/// Under the same key until there is a verdict: the local cloud answers 429, 500 or 503 when it is asked too
/// much at once.
fn insist(student: &Person, cart: &Value) -> Reply {
    const TRIES_MAX: u32 = 12;
    const WAIT: Duration = Duration::from_millis(200);
    let call = student.api.call("POST", "/submissions").key(&unique("hot")).json(cart).once();
    for attempt in 1..TRIES_MAX {
        let reply = call.send();
        if !reply.says_try_again() {
            return reply;
        }
        thread::sleep(WAIT * attempt);
    }
    call.send()
}
