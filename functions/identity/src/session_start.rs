//! How a session begins, whatever its person has proven themselves by: the account's second factor is passed where it
//! has one, a device that the account does not know is told of, and tokens are handed out once it all stands.

use events::DeviceAdded;
use shell::{Call, Failure};
use table::{Record as _, Transaction};

use crate::Ctx;
use crate::domain::{PasswordHash, Refusal, Roles, SecondFactorPolicy, Session, SessionsEnd};
use crate::operations::log_in::{SecondFactorState, Tokens};
use crate::store::{Entrant, Login};

/// What somebody brings along whose session begins.
pub struct Brought {
    pub device_name: Option<String>,
    pub passed_second_factor: bool,
    /// Their password, hashed by our parameters of today.
    pub new_hash: Option<PasswordHash>,
}

/// Whether the account's second factor was passed; an account without one passes none. That a code is asked for may
/// tell that a password is right, so it is said only where nobody has guessed meanwhile. It costs no guess: whoever
/// knows no password must not be able to put a wait between the owner's password and their code. A wrong code does.
pub async fn pass_second_factor<C>(
    ctx: &Ctx,
    call: &Call<C>,
    found: &mut Login,
    typed: Option<&str>,
    transaction: &mut Transaction<'_>,
) -> Result<bool, Failure> {
    let Some(factor) = found.second_factor.as_mut().filter(|factor| factor.value.is_confirmed())
    else {
        return Ok(false);
    };
    let Some(typed) = typed else {
        found.guesses.check_unmoved(&ctx.table).await?;
        return Err(Refusal::SecondFactorNeeded.into());
    };
    found.guesses.check_wait(call.now)?;
    found.guesses.check_account(call.now)?;
    let opened = ctx.second_factors.opened(&factor.value, call.now).await?;
    if let Err(refusal) = factor.value.take(opened.seed.read(typed, call.now)) {
        found.guesses.count(&ctx.table, call.now).await?;
        return Err(refusal.into());
    }
    if let Some(sealed) = opened.sealed_anew {
        factor.value.seed = sealed;
    }
    transaction.update(factor);
    Ok(true)
}

/// Into an account that stands.
pub async fn enter<C>(
    ctx: &Ctx,
    call: &Call<C>,
    mut transaction: Transaction<'_>,
    Entrant { mut account, roles, end, device: known_device }: Entrant,
    brought: Brought,
) -> Result<Tokens, Failure> {
    let device = known_device.unwrap_or_else(|| call.new_id());
    let id = call.new_id();
    if known_device.is_none() && account.value.was_used {
        let event = DeviceAdded { device, person: roles.person, session: id, added_at: call.now };
        transaction.event(event, 1, call.now, &call.correlation_id);
    }
    if brought.new_hash.is_some() || !account.value.was_used {
        account.value.was_used = true;
        if let Some(hash) = &brought.new_hash {
            account.value.password_hash.clone_from(hash);
        }
        transaction.update(&account);
    } else {
        // The password may have been changed meanwhile.
        transaction.check(&account.value.key(), Some(account.version));
    }
    let session = Session {
        device: Some(device),
        ..Session::start(id, roles.person, account.value.id, call.now)
    };
    begin(ctx, call, transaction, session, (&roles, end.as_ref()), brought).await
}

/// Writes it all, with a session that has come so far.
pub async fn begin<C>(
    ctx: &Ctx,
    call: &Call<C>,
    mut transaction: Transaction<'_>,
    mut session: Session,
    (roles, end): (&Roles, Option<&SessionsEnd>),
    Brought { device_name, passed_second_factor, .. }: Brought,
) -> Result<Tokens, Failure> {
    session.begin_after(end);
    session.device_name = device_name;
    session.passed_second_factor = passed_second_factor;
    transaction.create(&session);
    transaction.commit().await?;
    let devices = ctx.device_key().await?;
    let ends = SessionsEnd::count(end);
    let device_token = session.device.map(|device| devices.token(session.account, device, ends));
    let must_enroll = ctx.second_factor_policy() == SecondFactorPolicy::RequiredOfStaff
        && !passed_second_factor
        && roles.are_of_staff(call.now);
    let second_factor = must_enroll.then_some(SecondFactorState::EnrollmentRequired);
    Ok(Tokens { device_token, second_factor, ..ctx.tokens(&session, call.now).await? })
}
