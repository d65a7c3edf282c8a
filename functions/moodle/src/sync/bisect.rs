//! Batches that Moodle carries out whole or not at all: where one fails, halves find the record that spoils it.

use super::Halt;
use crate::client::{CallFailure, Remedy};

/// What became of each item that was tried, and why trying ended early.
pub struct Bisected<T, R> {
    pub tried: Vec<(T, Result<R, CallFailure>)>,
    /// Those of which nobody knows yet, because trying ended early.
    pub left: Vec<T>,
    pub halted: Option<CallFailure>,
}

impl<T, R> Bisected<T, R> {
    fn ended(
        tried: Vec<(T, Result<R, CallFailure>)>,
        left: impl IntoIterator<Item = Vec<T>>,
        halted: Option<CallFailure>,
    ) -> Self {
        Self { tried, left: left.into_iter().flatten().collect(), halted }
    }
}

/// What it means to a run that trying ended so.
pub fn go_on<T>(left: &[T], halted: Option<CallFailure>) -> Result<(), Halt> {
    match halted {
        Some(failure) => Err(failure.into()),
        None if !left.is_empty() => Err(Halt::OutOfTime),
        None => Ok(()),
    }
}

/// Times that a batch is sent again because others were writing.
const RETRIES_MAX: u32 = 2;

/// Sends items in batches. After a failure `look` says which of them stand there all the same, with what sending them
/// would have answered: nothing is sent again before that. What is left is sent in halves.
pub async fn bisected<T: Clone, R>(
    items: Vec<T>,
    batch_max: usize,
    may_send: impl Fn() -> bool,
    send: impl AsyncFn(&[T]) -> Result<Vec<R>, CallFailure>,
    look: impl AsyncFn(&[T]) -> Result<Vec<Option<R>>, CallFailure>,
) -> Bisected<T, R> {
    let mut tried = Vec::with_capacity(items.len());
    let mut waiting: Vec<Vec<T>> = items.chunks(batch_max).rev().map(<[T]>::to_vec).collect();
    while let Some(batch) = waiting.pop() {
        if !may_send() {
            waiting.push(batch);
            break;
        }
        let failure = match send_patiently(&batch, &may_send, &send).await {
            Ok(answers) => {
                tried.extend(batch.into_iter().zip(answers.into_iter().map(Ok)));
                continue;
            }
            Err(failure) => failure,
        };
        if failure.is_of_site() && !failure.maybe_done {
            waiting.push(batch);
            return Bisected::ended(tried, waiting, Some(failure));
        }
        let found = match look(&batch).await {
            Ok(found) => found,
            Err(failure) => {
                waiting.push(batch);
                return Bisected::ended(tried, waiting, Some(failure));
            }
        };
        let alone = batch.len() == 1;
        let mut left = Vec::new();
        for (item, answer) in batch.into_iter().zip(found) {
            match answer {
                Some(answer) => tried.push((item, Ok(answer))),
                None if alone => tried.push((item, Err(failure.clone()))),
                None => left.push(item),
            }
        }
        let half = left.len().div_ceil(2);
        if half > 0 {
            waiting.extend(left.chunks(half).rev().map(<[T]>::to_vec));
        }
    }
    Bisected::ended(tried, waiting, None)
}

async fn send_patiently<T, R>(
    batch: &[T],
    may_send: &impl Fn() -> bool,
    send: &impl AsyncFn(&[T]) -> Result<Vec<R>, CallFailure>,
) -> Result<Vec<R>, CallFailure> {
    let mut retries = 0;
    loop {
        match send(batch).await {
            Err(failure)
                if failure.remedy == Remedy::Retry && retries < RETRIES_MAX && may_send() =>
            {
                retries += 1;
                let wait = std::time::Duration::from_millis(100 << retries);
                tokio::time::sleep(wait).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn failure(remedy: Remedy, maybe_done: bool) -> CallFailure {
        let code = "test".to_owned();
        CallFailure { function: "f".into(), remedy, code, retry_after_s: None, maybe_done }
    }

    proptest! {
        #[test]
        fn every_good_item_is_made_once_and_every_bad_one_found(
            count in 0_usize..70,
            bad in proptest::collection::btree_set(0_usize..70, 0..6),
            silent in proptest::collection::btree_set(0_usize..40, 0..5),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime");
            let made: RefCell<Vec<usize>> = RefCell::default();
            let requests = RefCell::new(0);
            let result = runtime.block_on(bisected(
                (0..count).collect(),
                25,
                || true,
                async |items: &[usize]| {
                    let request = requests.replace_with(|number| *number + 1);
                    if items.iter().any(|item| bad.contains(item)) {
                        return Err(failure(Remedy::LookAgain, false));
                    }
                    made.borrow_mut().extend(items);
                    // Carried out, and nobody hears of it.
                    if silent.contains(&request) {
                        return Err(failure(Remedy::LookAgain, true));
                    }
                    Ok(items.iter().map(|item| i64::try_from(*item).expect("small")).collect())
                },
                async |items: &[usize]| {
                    let made = made.borrow();
                    let id = |item: &usize| i64::try_from(*item).ok().filter(|_| made.contains(item));
                    Ok(items.iter().map(id).collect())
                },
            ));
            let made = made.into_inner();
            let once: BTreeSet<usize> = made.iter().copied().collect();
            prop_assert_eq!(once.len(), made.len(), "made twice");
            let good: BTreeSet<usize> = (0..count).filter(|item| !bad.contains(item)).collect();
            prop_assert_eq!(&once, &good);
            let (ok, failed): (Vec<_>, Vec<_>) =
                result.tried.iter().partition(|(_, outcome)| outcome.is_ok());
            prop_assert_eq!(ok.len(), good.len());
            prop_assert_eq!(failed.len(), count - good.len());
        }
    }

    #[tokio::test]
    async fn a_site_that_fails_as_a_whole_is_not_asked_on() {
        let requests = RefCell::new(0);
        let result = bisected(
            vec![1, 2, 3],
            1,
            || true,
            async |_: &[i32]| {
                requests.replace_with(|number| *number + 1);
                Err::<Vec<i64>, _>(failure(Remedy::Credentials, false))
            },
            async |_: &[i32]| unreachable!("there is nothing to look for"),
        )
        .await;
        assert_eq!((result.tried.len(), requests.into_inner()), (0, 1));
        assert_eq!(result.left.len(), 3, "of none of them anything is known");
        assert_eq!(result.halted.map(|failure| failure.remedy), Some(Remedy::Credentials));
    }
}
