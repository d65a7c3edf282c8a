//! Argon2id, with the parameters that OWASP recommends: 19 MiB of memory, 2 passes, 1 lane.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use shell::Fault;

use crate::domain::{Password, PasswordHash};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Well formed, with our parameters, and nobody's: what is compared where there is no account to compare with.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA\
                       $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes with a new random salt.
pub fn hash(password: &Password) -> Result<PasswordHash, Fault> {
    let hash = argon2()
        .hash_password(password.0.as_bytes())
        .map_err(|error| Fault::outside("the password could not be hashed", error))?;
    Ok(PasswordHash(hash.to_string()))
}

/// Whether the hash was made with other parameters than ours are now.
pub fn is_outdated(hash: &PasswordHash) -> bool {
    let params = argon2::PasswordHash::new(&hash.0).ok();
    let params = params.and_then(|hash| Params::try_from(&hash).ok());
    let ours = (MEMORY_KIB, PASSES, LANES);
    params.is_none_or(|its| (its.m_cost(), its.t_cost(), its.p_cost()) != ours)
}

/// Whether the password is the one hashed. Without a hash it is not, and finding out takes as long.
pub fn is_right(password: &Password, hash: Option<&PasswordHash>) -> bool {
    let hash = hash.map_or(NOBODYS, |hash| hash.0.as_str());
    argon2().verify_password(password.0.as_bytes(), hash).is_ok()
}

/// A hash as we might have made it years ago.
#[cfg(test)]
pub fn weak_hash(password: &Password) -> PasswordHash {
    let params = Params::new(8 * 1024, 1, 1, None).expect("the parameters are in range");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    PasswordHash(argon2.hash_password(password.0.as_bytes()).expect("hashes").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_only_for_its_own_hash() {
        let password = Password("correct horse battery".into());
        let stored = hash(&password).expect("hashes");
        assert!(stored.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.0);
        assert!(is_right(&password, Some(&stored)));
        assert!(!is_right(&Password("correct horse batterz".into()), Some(&stored)));
        assert!(!is_right(&password, None));
        assert_ne!(stored, hash(&password).expect("hashes"), "every hash has its own salt");
    }

    #[test]
    fn a_hash_with_other_parameters_is_outdated_and_still_good() {
        let password = Password("correct horse battery".into());
        assert!(!is_outdated(&hash(&password).expect("hashes")));
        let weak = weak_hash(&password);
        assert!(is_outdated(&weak) && is_right(&password, Some(&weak)));
    }

    #[test]
    fn nobodys_hash_is_worth_as_much_work() {
        let parsed = argon2::PasswordHash::new(NOBODYS).expect("it is well formed");
        let params = Params::try_from(&parsed).expect("it has parameters");
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        assert_eq!(parsed.hash.expect("it has an output").len(), 32);
    }
}
