use std::cell::{Cell, RefCell};

use tributary_core::Error;
use tributary_core::webhook::Scheme;

use super::*;

/// A keeper of one secret, which counts how often it is asked for it anew.
#[derive(Default)]
struct Keeper {
    value: RefCell<String>,
    kept: RefCell<Option<String>>,
    asked: Cell<u32>,
    away: Cell<bool>,
}

impl Keeper {
    fn of(value: &str) -> Self {
        Keeper { value: RefCell::new(value.to_owned()), ..Keeper::default() }
    }
}

impl Secrets for Keeper {
    async fn get(&self, _: &SecretRef) -> Result<Secret> {
        let kept = self.kept.borrow().clone();
        if let Some(kept) = kept {
            return Ok(Secret::new(kept));
        }
        self.asked.set(self.asked.get() + 1);
        tokio::task::yield_now().await;
        if self.away.get() {
            return Err(Error::unavailable("no answer"));
        }
        *self.kept.borrow_mut() = Some(self.value.borrow().clone());
        Ok(Secret::new(self.value.borrow().clone()))
    }

    fn evict(&self, _: &SecretRef) {
        *self.kept.borrow_mut() = None;
    }
}

fn gate() -> Gate {
    let secrets = vec![SecretRef::Secret { name: "hook".into(), field: None }];
    Gate::new(Verification { scheme: Scheme::Bearer, secrets })
}

async fn passes(gate: &mut Gate, keeper: &Keeper, token: &str) -> bool {
    let headers = Headers::new([("Authorization", format!("Bearer {token}"))]);
    gate.verify(&headers, b"", 0, keeper).await.unwrap().is_ok()
}

#[tokio::test]
async fn a_rotated_secret_is_fetched_at_the_first_request_that_has_it() {
    let (keeper, mut gate) = (Keeper::of("one"), gate());
    assert!(passes(&mut gate, &keeper, "one").await);
    *keeper.value.borrow_mut() = "two".into();
    assert!(passes(&mut gate, &keeper, "two").await);
    assert!(!passes(&mut gate, &keeper, "one").await);
    assert_eq!(keeper.asked.get(), 2);
}

#[tokio::test]
async fn nonsense_makes_us_fetch_once_in_a_while_only() {
    let (keeper, mut gate) = (Keeper::of("one"), gate());
    for _ in 0..100 {
        assert!(!passes(&mut gate, &keeper, "guess").await);
    }
    assert_eq!(keeper.asked.get(), 2);
    gate.fetched = gate.fetched.and_then(|fetched| fetched.checked_sub(PAUSE));
    *keeper.value.borrow_mut() = "guess".into();
    assert!(passes(&mut gate, &keeper, "guess").await);
    assert_eq!(keeper.asked.get(), 3);
}

#[tokio::test]
async fn a_secret_of_the_environment_is_not_fetched_anew() {
    let keeper = Keeper::of("one");
    let secrets = vec![SecretRef::Env("HOOK".into())];
    let mut gate = Gate::new(Verification { scheme: Scheme::Bearer, secrets });
    assert!(!passes(&mut gate, &keeper, "two").await && !passes(&mut gate, &keeper, "three").await);
    assert_eq!(keeper.asked.get(), 1);
}

#[tokio::test]
async fn while_the_keeper_is_away_known_secrets_stay_good() {
    let (keeper, mut gate) = (Keeper::of("one"), gate());
    keeper.away.set(true);
    let headers = Headers::default();
    assert!(gate.verify(&headers, b"", 0, &keeper).await.unwrap_err().retry());
    keeper.away.set(false);
    assert!(passes(&mut gate, &keeper, "one").await);
    keeper.away.set(true);
    assert!(!passes(&mut gate, &keeper, "two").await);
    assert!(passes(&mut gate, &keeper, "one").await);
}
